import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { StateFolder } from '../../src/controller/state.ts';
import { testFolder } from '../support/io.ts';
import { random } from '../support/random.ts';

const root = testFolder();
const built = Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * 31) % 256));
const COOKIE = 0x1234n;

/** A folder with one program, and how to ask it for that again. */
function folderOf(name: string) {
  const path = join(root, name);
  let builds = 0;
  const ask = async (cookie = COOKIE): Promise<Buffer> => {
    const state = new StateFolder(path, 'model.json');
    const build = async () => {
      builds++;
      return built;
    };
    return Buffer.from((await state.programs([{ cookie, build }])).get(cookie)!);
  };
  return { path, file: join(path, 'programs', '0000000000001234'), ask, builds: () => builds };
}

const r = random(7);
const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1 << r.int(0, 7);
  return copy;
};
const alterations: readonly (readonly [string, (bytes: Buffer) => Buffer])[] = [
  ...Array.from({ length: 24 }, () => ['a bit', (b: Buffer) => flipped(b, r.int(0, b.length - 1))] as const),
  ...[1, 20, 85, 86, 87, 3_000].map(
    (length) => [`cut off at ${length}`, (b: Buffer) => b.subarray(0, length)] as const,
  ),
  ['the last byte is missing', (b) => b.subarray(0, -1)],
  ['a byte more', (b) => Buffer.concat([b, Buffer.of(0)])],
  ['empty', () => Buffer.alloc(0)],
  ['the program alone', () => built],
  ['twice', (b) => Buffer.concat([b, b])],
];

it('what is pushed is what was built of the source, whatever became of the kept file', async () => {
  const { file, ask, builds } = folderOf('altered');
  expect(await ask()).toEqual(built);
  const kept = readFileSync(file);
  expect(await ask()).toEqual(built);
  expect(builds()).toBe(1);
  let expected = 1;
  for (const [what, alter] of alterations) {
    writeFileSync(file, alter(kept));
    expect((await ask()).equals(built), what).toBe(true);
    expect([what, builds()]).toEqual([what, ++expected]);
    // It is mended: the next finds it.
    expect(readFileSync(file).equals(kept), what).toBe(true);
  }
  rmSync(file);
  expect(await ask()).toEqual(built);
  expect(builds()).toBe(expected + 1);
});

it('a program kept for another source is not taken for this one', async () => {
  const { path, file, ask, builds } = folderOf('other');
  await ask(0x99n);
  cpSync(join(path, 'programs', '0000000000000099'), file);
  expect(await ask()).toEqual(built);
  expect(builds()).toBe(2);
});

it('nobody else reads what is kept', async () => {
  const { path, file, ask } = folderOf('modes');
  mkdirSync(path);
  chmodSync(path, 0o755);
  await ask();
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(join(path, 'programs')).mode & 0o777).toBe(0o700);
  expect(readdirSync(join(path, 'programs'))).toEqual(['0000000000001234']);
});
