import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importModel } from '../../src/import/index.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { intransit, spawnIntransit, testFolder } from '../support/io.ts';
import { describeWith, loading } from '../support/machine.ts';

const folder = testFolder();
const MODEL = 'examples/traffic-mlp.onnx';
const ROWS = 'examples/traffic-mlp.x.bin';
const WIDTH = 16;

async function expected(rows: number): Promise<Uint8Array> {
  const { model } = await importModel(MODEL);
  return interpretRows(model, readFileSync(ROWS).subarray(0, rows * WIDTH));
}

describe('run --on reference', () => {
  it('writes the bytes of the interpreter, of so many rows', async () => {
    const output = join(folder, 'reference.bin');
    const { code, out, err } = await intransit(
      ...['run', MODEL, '--on', 'reference', '--input', ROWS, '--output', output, '--rows', '7'],
    );
    expect([code, out]).toEqual([0, '']);
    expect(err).toContain('reference: rows: 7/7\n');
    expect(Buffer.compare(readFileSync(output), await expected(7))).toBe(0);
  });

  it('feeds the outputs of one part to the next', async () => {
    const [middle, end] = [join(folder, 'middle.bin'), join(folder, 'end.bin')];
    const part = (layers: string, input: string, output: string, ...more: string[]) =>
      intransit(
        'run',
        MODEL,
        '--on',
        'reference',
        '--layers',
        layers,
        '--input',
        input,
        '--output',
        output,
        ...more,
      );
    expect((await part('..1', ROWS, middle, '--rows', '5')).code).toBe(0);
    expect((await part('1..', middle, end)).code).toBe(0);
    expect(Buffer.compare(readFileSync(end), await expected(5))).toBe(0);
  });

  it('leaves nothing where the output cannot be written', async () => {
    const output = join(folder, 'directory');
    mkdirSync(output);
    const { code, err } = await intransit(
      'run',
      MODEL,
      '--on',
      'reference',
      '--input',
      ROWS,
      '--output',
      output,
    );
    expect(code).toBe(1);
    expect(err).toContain(`${output}: cannot be written`);
    expect(readdirSync(folder).filter((name) => name.includes('.tmp'))).toEqual([]);
  });
});

describe('inspect', () => {
  it('shows layers, lanes, and need beside limit', async () => {
    const { code, out } = await intransit('inspect', MODEL);
    expect(code).toBe(0);
    expect(out).toMatch(/\d lanes of \d+ bits, \d+ words/);
    for (const word of ['verified instructions', 'packet', 'scratch memory', 'need', 'limit'])
      expect(out).toContain(word);
  });

  it('gives one JSON document', async () => {
    const { code, out } = await intransit('inspect', MODEL, '--json');
    expect(code).toBe(0);
    const document = JSON.parse(out);
    const { model } = await importModel(MODEL);
    expect(document).toMatchObject({ model: 'traffic-mlp', target: 'xdp' });
    expect(document.layers).toHaveLength(model.layers.length);
    for (const need of document.needs) expect(need.need).toBeLessThanOrEqual(need.limit);
  });

  it('refuses with the same document what does not fit', async () => {
    const file = join(folder, 'wide.json');
    const layer = { kind: 'dense', weights: Array(4 * 5000).fill(1), weightScale: 0.1, name: 'wide' };
    const output = { element: 'int8', scale: 1, zeroPoint: 0 };
    const input = { element: 'uint8', shape: [4], scale: 1, zeroPoint: 0 };
    const layers = [{ ...layer, output }];
    writeFileSync(
      file,
      JSON.stringify({ format: 'intransit-model', version: 1, name: 'wide', input, layers }),
    );
    const { code, out, err } = await intransit('inspect', file, '--json');
    expect(code).toBe(1);
    const { needs, diagnostics } = JSON.parse(out);
    expect(needs).toContainEqual(expect.objectContaining({ resource: 'frame', need: 5074, limit: 3520 }));
    expect(diagnostics.map((d: { code: string }) => d.code)).toContain('resource-exceeded');
    expect(err).toContain('needs 5074 bytes of frame, xdp has 3520');
  });

  it('takes a small MTU for no refusal, but one of the needs', async () => {
    const { code, out } = await intransit('inspect', MODEL, '--json', '--mtu', '70');
    expect(code).toBe(0);
    const { needs, diagnostics } = JSON.parse(out);
    expect(needs).toContainEqual(expect.objectContaining({ resource: 'packet', limit: 70 }));
    const found = diagnostics.filter((d: { code: string }) => d.code === 'mtu-exceeded');
    expect(found.map((d: { severity: string }) => d.severity)).toEqual(['warning']);
    expect((await intransit('inspect', MODEL, '--mtu', '70')).out).toContain('too much for one packet');
  });

  it('shows what is left to another node', async () => {
    expect((await intransit('inspect', MODEL, '--layers', '1..')).out).toContain('left to another node');
  });
});

describeWith(loading, 'commands in the kernel', () => {
  it('run --on xdp writes the bytes of the interpreter', async () => {
    const output = join(folder, 'xdp.bin');
    const { code } = await intransit(
      ...['run', MODEL, '--on', 'xdp', '--input', ROWS, '--output', output, '--rows', '50'],
    );
    expect(code).toBe(0);
    expect(Buffer.compare(readFileSync(output), await expected(50))).toBe(0);
  });

  it('verify --json has rows, elements and mismatches of each engine, and nothing else on stdout', async () => {
    const { code, out } = await intransit(
      ...['verify', MODEL, '--on', 'xdp,reference', '--input', ROWS, '--rows', '40', '--json'],
    );
    expect(code).toBe(0);
    const one = { rows: 40, elements: (await expected(40)).length, mismatches: 0 };
    expect(JSON.parse(out)).toEqual({ xdp: one, reference: one });
  });

  it('verify prints a table', async () => {
    const { code, out } = await intransit('verify', MODEL, '--input', ROWS, '--rows', '3');
    expect(code).toBe(0);
    expect(out).toMatch(/^engine\s+rows\s+elements\s+mismatches\nxdp\s+3\s+\d+\s+0\n$/);
  });

  it('bench --json has the numbers of the contract', async () => {
    const { code, out } = await intransit('bench', MODEL, '--on', 'xdp', '--json', '--rounds', '1');
    expect(code).toBe(0);
    const result = JSON.parse(out);
    for (const key of ['packedNs', 'unpackedNs', 'scalarNs', 'simdNs', 'boundNs', 'macs'])
      expect(result[key]).toBeGreaterThan(0);
  });

  it('demo --json sends all rows over a cable and gets them back', async () => {
    const { status, stdout, stderr } = spawnIntransit(['demo', '--json']);
    expect([status, stderr.includes('intransit:')]).toEqual([0, false]);
    const results = JSON.parse(stdout);
    expect(results.map((r: { model: string }) => r.model)).toEqual(['digits-mlp', 'traffic-mlp']);
    for (const r of results) {
      expect(r.answered).toBe(r.rows);
      expect(r.agreesWithReference).toBe(1);
      expect(r.agreesWithOnnxRuntime).toBeGreaterThanOrEqual(0.999);
      expect(r.packetsPerSecond).toBeGreaterThan(0);
    }
  });
});

describe('wrong usage', () => {
  it.each([
    [[], 'name a command'],
    [['compil', MODEL], 'Did you mean compile'],
    [['compile', MODEL, '--target', 'xdp'], 'output'],
    [['compile', MODEL, '-o', 'x'], 'target'],
    [['compile', MODEL, '-o', 'x', '--target', 'abacus'], 'abacus'],
    [['compile', MODEL, '-o', 'x', '--target', 'xdp', '--lames', 'on'], 'lames'],
    [['compile', MODEL, '-o', 'x', '--target', 'xdp', '--layers', 'one'], '--layers one: must be A..B'],
    [['compile', MODEL, '-o', 'x', '--target', 'xdp', '--port', '0'], '--port 0: must be a whole number'],
    [['compile', MODEL, '-o', 'x', '--target', 'xdp', '--port', 'http'], '--port'],
    [['compile', MODEL, '-o', 'x', '--target', 'xdp', '--model-id', '65536'], '--model-id 65536'],
    [['compile', MODEL, '-o', 'x', '--target', 'xdp', '--mtu', '1.5'], '--mtu 1.5'],
    [['run', MODEL, '--on', 'abacus', '--input', 'x', '--output', 'y'], 'abacus'],
    [
      ['run', MODEL, '--on', 'reference', '--input', ROWS, '--output', join(folder, 'y'), '--rows', '0'],
      '--rows 0',
    ],
    [
      ['run', MODEL, '--on', 'reference', '--input', ROWS, '--output', join(folder, 'y'), '--rows', 'all'],
      '--rows',
    ],
    [['verify', MODEL, '--on', 'xdp,abacus', '--input', ROWS], '--on abacus'],
    [['verify', MODEL, '--input', ROWS, '--rows', '-3'], '--rows -3'],
    [['bench', MODEL, '--rounds', '0'], '--rounds 0'],
    [['bench', MODEL, '--layers', '1..'], 'bench times whole models'],
  ])('%#: %j', async (argv, message) => {
    const { code, out, err } = await intransit(...argv);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(message);
    expect(err).toContain('help: intransit --help');
  });

  it('of an option given twice takes the last', async () => {
    const { out } = await intransit('inspect', MODEL, '--json', '--mtu', '70', '--mtu', '1500');
    expect(JSON.parse(out).diagnostics.filter((d: { severity: string }) => d.severity === 'error')).toEqual(
      [],
    );
  });

  it('--help and --version are no errors', async () => {
    expect(await intransit('--version')).toEqual({ code: 0, out: '0.0.0-test\n', err: '' });
    const { code, out } = await intransit('compile', '--help');
    expect(code).toBe(0);
    for (const option of ['--output', '--target', '--layers', '--weights', '--lanes'])
      expect(out).toContain(option);
  });
});
