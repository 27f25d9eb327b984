import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { onnxModelType } from '../../src/import/onnx/proto.ts';
import { formatNpy, parseNpy } from '../../src/rows/npy.ts';
import { cliArguments, intransit, spawnIntransit, testFolder } from '../support/io.ts';

const folder = testFolder();
const model = 'examples/digits-mlp.onnx';
const raw = readFileSync('examples/digits-mlp.x.bin').subarray(0, 20 * 64);
/** Outputs of ONNX Runtime. */
const expected = readFileSync('examples/digits-mlp.ort.bin').subarray(0, 20 * 10);
const file = (name: string) => join(folder, name);
const csv = (bytes: Uint8Array, width: number) =>
  Array.from({ length: bytes.length / width }, (_, i) =>
    bytes.subarray(i * width, (i + 1) * width).join(','),
  ).join('\n');
writeFileSync(file('x.bin'), raw);
writeFileSync(file('x.npy'), formatNpy('uint8', [20, 8, 8], raw));
writeFileSync(file('x.csv'), csv(raw, 64));
/** Arguments that run a file of rows. */
const runOn = (name: string) => ['run', model, '--on', 'reference', '--input', file(name)];
const names = 'zero,one,two,three,four,five,six,seven,eight,nine';

describe('rows of the command line', () => {
  it.each(['x.bin', 'x.npy', 'x.csv'])('run reads %s', async (name) => {
    const { code } = await intransit(...runOn(name), '--output', file('y.bin'));
    expect(code).toBe(0);
    expect(readFileSync(file('y.bin'))).toEqual(expected);
  });

  it('run writes .npy in the type of the output, and .csv', async () => {
    const to = (name: string) => intransit(...runOn('x.bin'), '--output', file(name));
    await to('y.npy');
    const array = parseNpy(readFileSync(file('y.npy')), 'y.npy');
    expect(array.shape).toEqual([20, 10]);
    expect(Buffer.from(array.values.buffer, array.values.byteOffset, 200)).toEqual(expected);
    await to('y.csv');
    const lines = readFileSync(file('y.csv'), 'utf8').trim().split('\n');
    expect(lines).toHaveLength(20);
    expect(lines.join().split(',').map(Number)).toEqual(Array.from(new Int8Array(expected)));
  });

  it('run without --output shows rows, classes and names', async () => {
    const argv = [...runOn('x.csv'), '--rows', '3', '--class-names', names];
    const shown = await intransit(...argv);
    expect(shown.code).toBe(0);
    const first = new Int8Array(expected.subarray(0, 10));
    const best = first.indexOf(Math.max(...first));
    expect(shown.out.split('\n')[1]!.trim().split(/ +/)).toEqual(
      ['0', `${best}`, names.split(',')[best]!].concat(Array.from(first, String)),
    );
    const json = JSON.parse((await intransit(...argv, '--json')).out);
    expect(json).toMatchObject({ rows: 3, output: { element: 'int8', shape: [10] } });
    expect(json.outputs[0]).toEqual(Array.from(first));
    expect(json.names[0]).toBe(names.split(',')[best]);
  });

  it('takes names of classes from the model file', async () => {
    const type = onnxModelType();
    const message = type.toObject(type.decode(readFileSync(model)));
    const list = names.split(',');
    const forms = [
      JSON.stringify(list),
      `{${list.map((n, i) => `${i}: '${n}'`).join(', ')}}`,
      list.join('\n'),
    ];
    for (const value of forms) {
      const named = { ...message, metadataProps: [{ key: 'names', value }] };
      writeFileSync(file('named.onnx'), type.encode(type.fromObject(named)).finish());
      const argv = ['run', file('named.onnx'), '--on', 'reference', '--input', file('x.bin'), '--json'];
      const json = JSON.parse((await intransit(...argv)).out);
      expect(json.names).toEqual(json.classes.map((c: number) => list[c]));
    }
  });

  it('reads standard input, and writes standard output', () => {
    const argv = ['run', model, '--on', 'reference', '--input', '-', '--output', '-'];
    const { stdout, status } = spawnSync(process.execPath, cliArguments(argv), { input: raw });
    expect(status).toBe(0);
    expect(stdout).toEqual(expected);
  });

  it.each([
    ['/dev/zero', 'it is a device'],
    [folder, 'it is a directory'],
    ['missing.npy', 'ENOENT'],
  ])('refuses %s at once', async (input, message) => {
    const { code, err } = await intransit('verify', model, '--on', 'reference', '--input', input);
    expect(code).toBe(1);
    expect(err).toContain(message);
  });

  it.each([
    [
      'values that do not fit',
      'big.csv',
      `${'300,'.repeat(63)}1`,
      'row 1, column 1: 300 is no uint8 (0..255)',
    ],
    ['another width', 'wide.csv', `${'1,'.repeat(64)}1`, 'has 65 cells, the model reads 64'],
    ['an empty file', 'empty.csv', '', 'holds no rows'],
    ['names alone', 'names.csv', 'a,b\n', 'holds no rows'],
    ['an archive', 'x.npz', 'PK', 'numpy.save'],
    ['no NumPy file', 'no.npy', 'what', 'cannot be read as NumPy'],
  ])('refuses %s', async (_what, name, text, message) => {
    writeFileSync(file(name), text);
    const { code, err } = await intransit(...runOn(name));
    expect(code).toBe(1);
    expect(err).toContain(message);
  });

  it('refuses as many names as there are no classes', async () => {
    const { code, err } = await intransit(...runOn('x.bin'), '--class-names', 'a,b');
    expect(code).toBe(1);
    expect(err).toContain('2 class names for 10 classes');
  });

  it('writes to a device without replacing it', () => {
    const before = statSync('/dev/null').rdev;
    const { status } = spawnIntransit([...runOn('x.bin'), '--output', '/dev/null']);
    expect(status).toBe(0);
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
    expect(statSync('/dev/null').rdev).toBe(before);
  });
});
