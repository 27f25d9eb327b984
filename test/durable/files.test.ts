import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  atomicFile,
  ensureFolder,
  isOwnerGone,
  lockFile,
  ownerMark,
  replaceFile,
} from '../../src/durable/index.ts';
import { testFolder } from '../support/io.ts';
import { isRoot } from '../support/machine.ts';

const folder = testFolder();

describe('a file that is replaced', () => {
  it('is the old one or the new one, of a mode, and leaves nothing beside it', () => {
    const file = join(folder, 'whole');
    replaceFile(file, 'one', { mode: 0o600 });
    expect([readFileSync(file, 'utf8'), lstatSync(file).mode & 0o777]).toEqual(['one', 0o600]);
    const second = atomicFile(file, 'two');
    expect(readFileSync(file, 'utf8')).toBe('one');
    second.commit();
    second.abandon();
    expect(readFileSync(file, 'utf8')).toBe('two');
    expect(lstatSync(file).mode & 0o777).toBe(0o666 & ~process.umask());
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('takes the place of a link instead of following it', () => {
    const [file, other] = [join(folder, 'link'), join(folder, 'other')];
    writeFileSync(other, 'mine');
    symlinkSync(other, file);
    replaceFile(file, 'new');
    expect([readFileSync(other, 'utf8'), readFileSync(file, 'utf8')]).toEqual(['mine', 'new']);
  });

  it('is written to as it is where it is a device', () => {
    replaceFile('/dev/null', 'gone');
    expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  it('clears what a run that was killed has left, and nothing else', () => {
    const file = join(folder, 'left');
    const gone = ownerMark().replace(/-\d+-\d+$/, `-${2 ** 22 + 1}-7`);
    const left = `.left.intransit-${gone}-0123456789ab.tmp`;
    const others = [`.left.intransit-${ownerMark()}-0123456789ab.tmp`, '.left.tmp', `x${left}`];
    for (const name of [left, ...others]) writeFileSync(join(folder, name), '');
    replaceFile(file, '');
    expect(existsSync(join(folder, left))).toBe(false);
    for (const name of others) expect(existsSync(join(folder, name))).toBe(true);
  });

  it('has a name of any length', () => {
    const file = join(folder, 'n'.repeat(255));
    replaceFile(file, 'long');
    expect(readFileSync(file, 'utf8')).toBe('long');
  });
});

describe('an owner', () => {
  it('is here, or gone, or cannot be told', () => {
    expect(isOwnerGone(ownerMark())).toBe(false);
    // The number was given to another process meanwhile.
    expect(isOwnerGone(ownerMark().replace(/\d+$/, '1'))).toBe(true);
    const child = spawnSync(process.execPath, [
      '--import',
      'tsx',
      '-e',
      `import { ownerMark } from '${join(import.meta.dirname, '../../src/durable/index.ts')}'; console.log(ownerMark());`,
    ]);
    expect(isOwnerGone(child.stdout.toString().trim())).toBe(true);
    expect(isOwnerGone(`00000000-${process.pid}-1`)).toBe(false);
    expect(isOwnerGone('anything')).toBe(false);
  });
});

describe('folders', () => {
  it('are made with all above, or say why not', () => {
    const deep = join(folder, 'a/b/c');
    ensureFolder(deep, 0o700);
    ensureFolder(deep);
    expect(lstatSync(deep).mode & 0o777).toBe(0o700);
    // Node's own call never returns here.
    expect(() => ensureFolder('/proc/x/y')).toThrow(/ENOENT/);
    writeFileSync(join(folder, 'file'), '');
    expect(() => ensureFolder(join(folder, 'file/x'))).toThrow(/ENOTDIR/);
    expect(() => ensureFolder(join(folder, 'file'))).toThrow(/ENOTDIR/);
  });
});

describe('a lock', () => {
  it('is one holder’s; its file goes with it, and only we may open it', () => {
    const file = join(folder, 'lock');
    const lock = lockFile(file);
    expect(lockFile(file)).toBeUndefined();
    expect(lstatSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toBe(`${process.pid}\n`);
    lock?.release();
    lock?.release();
    expect(existsSync(file)).toBe(false);
    lockFile(file)?.release();
    symlinkSync(join(folder, 'elsewhere'), file);
    expect(() => lockFile(file)).toThrow(/ELOOP/);
  });

  it('has one holder at a time, however many processes want it', () => {
    const file = join(folder, 'contested');
    const count = join(folder, 'count');
    mkdirSync(count);
    // A holder makes a folder that cannot be there yet.
    const script = `
      import { mkdirSync, rmdirSync } from 'node:fs';
      import { lockFile } from '${join(import.meta.dirname, '../../src/durable/index.ts')}';
      let [held, twice] = [0, 0];
      const until = Date.now() + 700;
      while (Date.now() < until) {
        const lock = lockFile('${file}');
        if (lock === undefined) continue;
        held++;
        try { mkdirSync('${count}/one'); } catch { twice++; }
        try { rmdirSync('${count}/one'); } catch { twice++; }
        lock.release();
      }
      console.log(held + ' ' + twice);`;
    const loop = `for i in 1 2 3; do "$0" --import tsx --input-type=module -e "$1" & done; wait`;
    const { stdout } = spawnSync('sh', ['-c', loop, process.execPath, script], { encoding: 'utf8' });
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number));
    expect(lines).toHaveLength(3);
    for (const [held, twice] of lines) {
      expect(held).toBeGreaterThan(0);
      expect(twice).toBe(0);
    }
  });
});

const onFull = isRoot ? '' : ' [SKIPPED: needs root]';
describe.skipIf(!isRoot)(`a full disk${onFull}`, () => {
  const disk = join(folder, 'disk');
  afterEach(() => {
    spawnSync('umount', [disk]);
  });

  it('leaves the old file, and no half of the new one', () => {
    mkdirSync(disk);
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]).status).toBe(0);
    const file = join(disk, 'file');
    replaceFile(file, 'old');
    expect(() => replaceFile(file, Buffer.alloc(100_000))).toThrow(/ENOSPC/);
    expect(readdirSync(disk)).toEqual(['file']);
    expect(readFileSync(file, 'utf8')).toBe('old');
    // A lock can still be taken.
    writeFileSync(join(disk, 'filler'), Buffer.alloc(60 * 1024));
    const lock = lockFile(join(disk, 'lock'));
    expect(lock).toBeDefined();
    lock?.release();
  });
});

it('a process whose state cannot be found out is not taken for one that has ended', () => {
  const durable = JSON.stringify(join(import.meta.dirname, '../../src/durable/index.ts'));
  const script = `
    import { openSync } from 'node:fs';
    import { isOwnerGone, ownerMark } from ${durable};
    const gone = ownerMark().replace(/-\\d+-\\d+$/, '-${2 ** 22 + 1}-7');
    const before = [isOwnerGone(process.argv[1]), isOwnerGone(gone)];
    try { for (;;) openSync('/dev/null'); } catch {}
    process.stdout.write(JSON.stringify([...before, isOwnerGone(process.argv[1])]));`;
  const argv = ['--import', 'tsx', '--input-type=module', '-e', script, ownerMark()];
  const { stdout, stderr } = spawnSync('prlimit', ['--nofile=64', process.execPath, ...argv], {
    encoding: 'utf8',
  });
  expect([stdout, stderr]).toEqual(['[false,true,false]', '']);
});
