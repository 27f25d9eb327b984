import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { intransit, testFolder } from '../support/io.ts';
import { describeWithTools } from '../support/machine.ts';

const folder = testFolder();
const MODEL = 'examples/digits-mlp.onnx';

/** Name to digest of every file of a directory. */
const contents = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir)
      .sort()
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(dir, name)))
          .digest('hex'),
      ]),
  );

const compile = (dir: string, ...more: string[]) =>
  intransit('compile', MODEL, '-o', dir, '--target', 'xdp', ...more);

describe('compile --no-build', () => {
  it('writes program, headers, weights and manifest', async () => {
    const dir = join(folder, 'deep/er/plain');
    const { code, out } = await compile(dir, '--no-build');
    expect(code).toBe(0);
    const files = readdirSync(dir).sort();
    expect(files).toEqual(
      expect.arrayContaining([
        'intransit_lanes.h',
        'intransit_wire.h',
        'intransit_xdp.h',
        'manifest.json',
        'program.c',
        'weights.bin',
      ]),
    );
    expect(files).not.toContain('program.o');
    expect(out).toBe(`${dir}: ${files.join(', ')}\n`);
    const manifest = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8'));
    const weights = readFileSync(join(dir, 'weights.bin'));
    expect(manifest).toMatchObject({
      format: 'intransit-manifest/1',
      target: 'xdp',
      model: { name: 'digits-mlp', id: 1, version: 1, layerCount: 2 },
      layers: { from: 0, to: 2 },
      weights: {
        mode: 'runtime',
        bytes: weights.length,
        sha256: createHash('sha256').update(weights).digest('hex'),
      },
    });
  });

  it('gives the same bytes again, and names them in JSON', async () => {
    const [a, b] = [join(folder, 'a'), join(folder, 'b')];
    await compile(a, '--no-build');
    const { out } = await compile(b, '--no-build', '--json');
    expect(contents(a)).toEqual(contents(b));
    expect(JSON.parse(out)).toEqual({ output: b, files: readdirSync(b).sort() });
  });

  it('has no weights file where they are constants', async () => {
    const dir = join(folder, 'static');
    await compile(
      dir,
      '--no-build',
      '--weights',
      'static',
      '--layers',
      '0..1',
      '--model-id',
      '9',
      '--port',
      '7',
    );
    expect(existsSync(join(dir, 'weights.bin'))).toBe(false);
    expect(JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8'))).toMatchObject({
      weights: { mode: 'static' },
      layers: { from: 0, to: 1 },
      model: { id: 9 },
      port: 7,
    });
  });

  it('replaces a directory of its own, whole', async () => {
    const dir = join(folder, 'again');
    await compile(dir, '--no-build');
    const before = contents(dir);
    await compile(dir, '--no-build', '--weights', 'static');
    expect(Object.keys(contents(dir))).not.toContain('weights.bin');
    await compile(dir, '--no-build');
    expect(contents(dir)).toEqual(before);
  });

  it('fills an empty directory', async () => {
    const dir = join(folder, 'empty');
    mkdirSync(dir);
    expect((await compile(dir, '--no-build')).code).toBe(0);
  });

  it("leaves other people's directory alone", async () => {
    const dir = join(folder, 'foreign');
    mkdirSync(dir);
    writeFileSync(join(dir, 'thesis.tex'), 'years of work');
    const { code, err } = await compile(dir, '--no-build');
    expect(code).toBe(1);
    expect(err).toContain(`${dir}: is not empty and was not written by intransit [output-exists]`);
    expect(readdirSync(dir)).toEqual(['thesis.tex']);
  });

  it.each([
    ['a file in the way', (dir: string) => dir],
    ['a file as its parent', (dir: string) => join(dir, 'inside')],
  ])('cannot write: %s', async (_, place) => {
    const file = join(folder, 'file');
    writeFileSync(file, 'x');
    const { code, err } = await compile(place(file), '--no-build');
    expect(code).toBe(1);
    expect(err).toContain('[file-unwritable]');
    expect(readFileSync(file, 'utf8')).toBe('x');
  });

  it('leaves nothing beside', async () => {
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

describeWithTools(['clang'], 'compile', () => {
  it('builds an object, and nothing half where clang refuses', async () => {
    const dir = join(folder, 'built');
    expect((await compile(dir)).code).toBe(0);
    expect(readFileSync(join(dir, 'program.o')).subarray(0, 4).toString('latin1')).toBe('\x7fELF');
    const before = contents(dir);
    const path = process.env.PATH;
    process.env.PATH = join(folder, 'nowhere');
    try {
      const { code, err } = await compile(dir);
      expect(code).toBe(1);
      expect(err).toMatch(/clang does not start.*\n {2}help: install clang/);
    } finally {
      process.env.PATH = path;
    }
    expect(contents(dir)).toEqual(before);
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});
