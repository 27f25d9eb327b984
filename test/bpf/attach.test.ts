import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BpfObject, interfaceIndex, openObject, withNetns } from '../../src/bpf/index.ts';
import { createVeth, describeWith, failure, fixture, loading, sh, type Veth } from './support.ts';

const DEADLINE_MS = 20_000;

describeWith([...loading, 'xdp-link'], 'an XDP link', () => {
  let veth: Veth;
  let object: BpfObject;
  beforeAll(async () => {
    veth = createVeth('attach');
    object = await openObject(await fixture('count-udp'));
  });
  afterAll(() => {
    object?.close();
    veth?.remove();
  });

  const count = () => object.map('datagrams').sumPerCpu(0)![0]!;
  const sendOne = () =>
    sh('ip', 'netns', 'exec', veth.nearNs, 'bash', '-c', 'echo hello > /dev/udp/198.18.0.2/4242 || true');
  /** What `ip` says of the far interface. */
  const shown = () => sh('ip', '-n', veth.farNs, '-d', 'link', 'show', 'far');

  /** Sends until one arrives: the first may be lost while the link comes up. */
  async function arrives(): Promise<boolean> {
    const before = count();
    for (const end = Date.now() + DEADLINE_MS; Date.now() < end; await sleep(50)) {
      sendOne();
      if (count() > before) return true;
    }
    return false;
  }

  it.each([
    ['native', /\bxdp\b/],
    ['generic', /\bxdpgeneric\b/],
  ] as const)(
    'in %s mode sees the packets of its interface, until it is closed',
    async (mode, pattern) => {
      const link = object.program('count_udp').attachXdp({ interface: 'far', mode, netns: veth.farNs });
      try {
        expect(link.mode).toBe(mode);
        expect(link.nativeRefusal).toBeUndefined();
        expect(link.info().programId).toBe(object.program('count_udp').info().id);
        expect(shown()).toMatch(pattern);
        expect(await arrives()).toBe(true);
      } finally {
        link.close();
        link.close();
      }
      expect(shown()).not.toMatch(/\bxdp/);
      expect((await failure(() => link.info())).code).toBe('bpf-closed');
    },
    60_000,
  );

  it('takes native mode by itself', () => {
    using link = object.program('pass').attachXdp({ interface: 'far', netns: veth.farNs });
    expect(link.mode).toBe('native');
  });

  it('takes generic mode by itself where the driver refuses, and says why', () => {
    // lo has no native XDP.
    using link = object.program('pass').attachXdp({ interface: 'lo', netns: veth.farNs });
    expect(link).toMatchObject({ mode: 'generic', nativeRefusal: 'EOPNOTSUPP', ifindex: 1 });
  });

  it('exchanges its program while it runs', async () => {
    using link = object.program('pass').attachXdp({ interface: 'far', netns: veth.farNs });
    link.update(object.program('count_udp'));
    expect(link.info().programId).toBe(object.program('count_udp').info().id);
    expect(await arrives()).toBe(true);
  });

  it('keeps its program although the object is closed', async () => {
    const other = await openObject(await fixture('count-udp'));
    using link = other.program('pass').attachXdp({ interface: 'far', netns: veth.farNs });
    other.close();
    expect(shown()).toMatch(/\bxdp\b/);
    link.detach();
    link.detach();
    expect(shown()).not.toMatch(/\bxdp/);
  });

  it('ends when its process is killed', async () => {
    const script = join(import.meta.dirname, 'fixtures', 'attach-and-wait.ts');
    const viteNode = join(import.meta.dirname, '../../node_modules/.bin/vite-node');
    const child = spawn(viteNode, [script, await fixture('count-udp'), 'far', veth.farNs], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    expect(shown()).toMatch(/\bxdp\b/);
    child.kill('SIGKILL');
    await once(child, 'exit');
    for (const end = Date.now() + DEADLINE_MS; /\bxdp/.test(shown()) && Date.now() < end; ) await sleep(20);
    expect(shown()).not.toMatch(/\bxdp/);
  });

  it('is refused where another program is, in the same mode and in the other', async () => {
    using link = object.program('pass').attachXdp({ interface: 'far', mode: 'native', netns: veth.farNs });
    expect(link.ifindex).toBeGreaterThan(0);
    for (const mode of ['native', 'generic', 'auto'] as const) {
      const error = await failure(() =>
        object.program('pass').attachXdp({ interface: 'far', mode, netns: veth.farNs }),
      );
      expect(error).toMatchObject({ code: 'bpf-attach', errnoName: expect.stringMatching(/EBUSY|EEXIST/) });
      expect(error.message).toContain('attach program "pass" to interface far');
    }
  });

  it('is refused in native mode without a driver for it', async () => {
    const error = await failure(() =>
      object.program('pass').attachXdp({ interface: 'lo', mode: 'native', netns: veth.farNs }),
    );
    expect(error).toMatchObject({ code: 'bpf-attach', remedy: expect.stringContaining('generic mode') });
  });

  it('is refused without such an interface or namespace', async () => {
    const program = object.program('pass');
    expect(await failure(() => program.attachXdp({ interface: 'far0' }))).toMatchObject({
      code: 'bpf-interface',
      message: 'there is no interface "far0"',
      remedy: expect.stringContaining('option netns'),
    });
    expect((await failure(() => program.attachXdp({ interface: 99_999 }))).code).toBe('bpf-attach');
    expect(await failure(() => program.attachXdp({ interface: 'far', netns: 'nowhere' }))).toMatchObject({
      code: 'bpf-interface',
      message: 'there is no network namespace "nowhere"',
    });
    expect((await failure(() => program.attachXdp({ interface: 'lo', netns: '/etc/hostname' }))).code).toBe(
      'bpf-interface',
    );
  });

  it('leaves the process in its own namespace, also after a failure', async () => {
    expect(withNetns(veth.farNs, () => interfaceIndex('far'))).toBeGreaterThan(0);
    await failure(() =>
      withNetns(veth.farNs, () => {
        throw new Error('inside');
      }),
    );
    expect((await failure(() => interfaceIndex('far'))).code).toBe('bpf-interface');
  });
});
