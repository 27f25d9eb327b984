/** A neighbour on the host who lays traps where we clear up. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { writeDirectory } from '../../src/cli/directory.ts';
import { isPrivate, ownerMark, privateBase, removeTree } from '../../src/durable/index.ts';
import { writeWhole } from '../../src/files.ts';
import { clearLeftovers } from '../../src/runtime/bmv2/workspace.ts';
import { temporaryFolder } from '../../src/temporary.ts';
import { isRoot } from '../support/machine.ts';

const NOBODY = 65_534;
/** A process that has ended, as names of all versions tell it. */
const dead = [`${2 ** 22 + 1}`, ownerMark().replace(/-\d+-\d+$/, `-${2 ** 22 + 1}-1`)];
const title = isRoot ? '' : ' [SKIPPED: needs root]';
if (!isRoot) console.warn(`a neighbour who swaps folders${title}`);

describe.skipIf(!isRoot)(`a neighbour who swaps folders${title}`, () => {
  const home = mkdtempSync(join(tmpdir(), `ittest-${process.pid}-`));
  chmodSync(home, 0o755);
  const shared = join(home, 'shared');
  const victim = join(home, 'victim');
  let attackers: ChildProcess[] = [];
  afterEach(() => {
    vi.unstubAllEnvs();
    for (const child of attackers) child.kill('SIGKILL');
    attackers = [];
  });
  afterAll(() => removeTree(home));

  async function attack(...names: string[]): Promise<void> {
    mkdirSync(shared);
    chmodSync(shared, 0o1777);
    mkdirSync(victim);
    for (let i = 0; i < 400; i++) writeFileSync(join(victim, `file${i}`), '');
    const script = join(home, 'swapper.mjs');
    writeFileSync(script, readFileSync(join(import.meta.dirname, 'swapper.mjs')), { mode: 0o644 });
    const child = spawn(process.execPath, [script, shared, victim, ...names], {
      uid: NOBODY,
      gid: NOBODY,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    attackers.push(child);
    await new Promise((resolve) => child.stdout!.once('data', resolve));
  }

  it('gets nobody’s file removed, wherever we clear up, and no command fails of it', async () => {
    const traps = dead.flatMap((mark) => [
      `intransit-${mark}-abcdef`,
      `tmp-${mark}-abcdef`,
      `bmv2-${mark}-abcdef`,
      `.intransit-out-${mark}-old`,
      `.intransit-out-${mark}-0123456789ab-old`,
      `.intransit-out-${mark}-0123456789ab-new`,
      `.rows.bin.intransit-${mark}-0123456789ab.tmp`,
      `rows.bin.intransit-${mark}.tmp`,
    ]);
    await attack(...traps, 'intransit-bmv2-abcdef', 'intransit');
    vi.stubEnv('TMPDIR', shared);
    const until = performance.now() + 4_000;
    let rounds = 0;
    for (; performance.now() < until; rounds++) {
      temporaryFolder()[Symbol.dispose]();
      clearLeftovers();
      writeWhole(join(shared, 'rows.bin'), 'rows');
      const files = new Map([['manifest.json', '{}']]);
      await writeDirectory(join(shared, 'out'), async (folder) => {
        for (const [name, content] of files) writeFileSync(join(folder, name), content);
      });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(rounds).toBeGreaterThan(10);
    expect(readdirSync(victim)).toHaveLength(400);
    expect(readFileSync(join(shared, 'out', 'manifest.json'), 'utf8')).toBe('{}');
    expect(readFileSync(join(shared, 'rows.bin'), 'utf8')).toBe('rows');
  }, 30_000);
});

describe('what is private', () => {
  const home = mkdtempSync(join(tmpdir(), `ittest-${process.pid}-`));
  afterEach(() => vi.unstubAllEnvs());
  afterAll(() => removeTree(home));

  it('is a folder that nobody else can change, nor those above it', () => {
    const folder = join(home, 'folder');
    mkdirSync(folder);
    expect(isPrivate(folder)).toBe(true);
    chmodSync(folder, 0o777);
    expect(isPrivate(folder)).toBe(false);
    chmodSync(folder, 0o700);
    chmodSync(home, 0o777);
    expect(isPrivate(folder)).toBe(false);
    chmodSync(home, 0o1777);
    expect(isPrivate(folder)).toBe(true);
    chmodSync(home, 0o700);
    expect(isPrivate(join(home, 'none'))).toBe(false);
  });

  it('holds temporary folders, which only we may enter', () => {
    vi.stubEnv('TMPDIR', home);
    using folder = temporaryFolder();
    expect(folder.path.startsWith(join(home, 'intransit/tmp-'))).toBe(true);
    expect(privateBase()).toBe(join(home, 'intransit'));
    expect(lstatSync(folder.path).mode & 0o777).toBe(0o700);
  });

  it('a tree is removed, what its links lead to is not', () => {
    const [tree, other] = [join(home, 'tree'), join(home, 'other')];
    mkdirSync(join(tree, 'a/b/c'), { recursive: true });
    mkdirSync(other);
    writeFileSync(join(tree, 'a/file'), '');
    writeFileSync(join(other, 'file'), '');
    symlinkSync(other, join(tree, 'a/link'));
    symlinkSync('nowhere', join(tree, 'a/b/broken'));
    removeTree(tree);
    removeTree(tree);
    expect(readdirSync(home)).not.toContain('tree');
    expect(readdirSync(other)).toEqual(['file']);
    rmSync(other, { recursive: true });
  });
});
