import { chownSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type BpfObject,
  ensureBpffs,
  openObject,
  openPinnedLink,
  openPinnedMap,
  unpin,
} from '../../src/bpf/index.ts';
import { createVeth, describeWith, failure, fixture, loading, scratch, sh, type Veth } from './support.ts';

describeWith([...loading, 'xdp-link'], 'pins', () => {
  const mountPoint = join(scratch, 'bpffs');
  let folder: string;
  let veth: Veth;
  let object: BpfObject;
  beforeAll(async () => {
    folder = ensureBpffs('intransit', mountPoint);
    veth = createVeth('pin');
    object = await openObject(await fixture('count-udp'));
  });
  afterAll(() => {
    object?.close();
    veth?.remove();
    if (existsSync(mountPoint)) sh('umount', mountPoint);
  });

  it('lie in a folder that is mounted once', () => {
    expect(folder).toBe(join(mountPoint, 'intransit'));
    expect(ensureBpffs('intransit', mountPoint)).toBe(folder);
    expect(ensureBpffs('', mountPoint)).toBe(mountPoint);
    expect(sh('findmnt', '-n', '-o', 'FSTYPE', mountPoint).trim()).toBe('bpf');
  });

  it('are nobody else’s to see, in a file system that we mount and in folders that were there', () => {
    const mode = (path: string) => statSync(path).mode & 0o777;
    expect(mode(mountPoint)).toBe(0o700);
    const open = join(mountPoint, 'open');
    mkdirSync(open, { mode: 0o755 });
    ensureBpffs('open', mountPoint);
    expect(mode(open)).toBe(0o700);
    chownSync(open, 65_534, 65_534);
    expect(() => ensureBpffs('open', mountPoint)).toThrow('is not a folder of this user');
    symlinkSync('/sys/fs/bpf', join(mountPoint, 'elsewhere'));
    expect(() => ensureBpffs('elsewhere', mountPoint)).toThrow('is not a folder of this user');
  });

  it('keep a map and its values beyond its object', async () => {
    const path = join(folder, 'seen');
    const other = await openObject(await fixture('rewrite'));
    other.map('seen').update(Buffer.alloc(8, 1), 42);
    other.map('seen').pin(path);
    other.close();

    const map = openPinnedMap(path);
    expect(map.info).toMatchObject({ name: 'seen', keySize: 8, valueSize: 4 });
    expect(map.lookup(Buffer.alloc(8, 1))?.readUInt32LE()).toBe(42);
    map.close();
    map.close();
    expect((await failure(() => map.lookup(Buffer.alloc(8)))).code).toBe('bpf-closed');
    unpin(path);
    unpin(path);
    expect(await failure(() => openPinnedMap(path))).toMatchObject({ code: 'bpf-pin', errnoName: 'ENOENT' });
  });

  it('keep a program attached beyond its link, which another may take over', async () => {
    const path = join(folder, 'link');
    const first = object.program('pass').attachXdp({ interface: 'far', netns: veth.farNs });
    first.pin(path);
    first.close();
    const shown = () => sh('ip', '-n', veth.farNs, 'link', 'show', 'far');
    expect(shown()).toMatch(/\bxdp\b/);

    const second = openPinnedLink(path);
    expect(second.ifindex).toBe(first.ifindex);
    expect(second.mode).toBeUndefined();
    second.update(object.program('count_udp'));
    expect(second.info().programId).toBe(object.program('count_udp').info().id);
    second.detach();
    expect(shown()).not.toMatch(/\bxdp/);
    unpin(path);
  });

  it('hold programs too', () => {
    const path = join(folder, 'program');
    object.program('pass').pin(path);
    expect(existsSync(path)).toBe(true);
    unpin(path);
    expect(existsSync(path)).toBe(false);
  });

  it('are of one kind', async () => {
    const path = join(folder, 'map');
    object.map('datagrams').pin(path);
    const error = await failure(() => openPinnedLink(path));
    expect(error).toMatchObject({
      code: 'bpf-pin',
      message: `${path} is a map, no link`,
    });
    unpin(path);
  });

  it('are refused where one is, where no folder is, and outside a BPF file system', async () => {
    const map = object.map('datagrams');
    const path = join(folder, 'twice');
    map.pin(path);
    expect(await failure(() => map.pin(path))).toMatchObject({ code: 'bpf-pin', errnoName: 'EEXIST' });
    unpin(path);
    expect(await failure(() => map.pin(join(folder, 'none', 'x')))).toMatchObject({
      errnoName: 'ENOENT',
      remedy: 'create the folder first: ensureBpffs',
    });
    expect(await failure(() => map.pin(join(scratch, 'x')))).toMatchObject({
      code: 'bpf-pin',
      message: `pin map "datagrams" at ${join(scratch, 'x')}: the folder is in no BPF file system`,
    });
  });

  it('need a folder that can be made', async () => {
    mkdirSync(join(scratch, 'blocked'), { recursive: true });
    writeFileSync(join(scratch, 'blocked', 'file'), '');
    const error = await failure(() => ensureBpffs('', join(scratch, 'blocked', 'file', 'x')));
    expect(error).toMatchObject({ code: 'bpf-pin', remedy: expect.stringContaining('mount -t bpf') });
  });
});
