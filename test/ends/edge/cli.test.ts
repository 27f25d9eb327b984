import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { interpretRows } from '../../../src/reference/interpreter.ts';
import { cliArguments, intransit, testFolder } from '../../support/io.ts';
import { between, example, worker } from './loopback.ts';

const MODEL = 'examples/traffic-mlp.onnx';
const ROWS = 'examples/traffic-mlp.x.bin';
const folder = testFolder();
const output = join(folder, 'y.bin');
const few = join(folder, 'few.bin');
writeFileSync(few, readFileSync(ROWS).subarray(0, 16 * 50));

const send = (to: string | number, ...more: string[]) =>
  intransit('send', MODEL, '--to', `${to}`, '--input', few, '--output', output, ...more);

/** `intransit worker` as a process of its own. */
class Process {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly exited: Promise<number | null>;
  constructor(...argv: string[]) {
    this.child = spawn(process.execPath, cliArguments(['worker', ...argv]), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#lines = createInterface(this.child.stdout!)[Symbol.asyncIterator]();
    this.exited = new Promise((done) => this.child.once('exit', done));
  }
  async line(): Promise<string> {
    return (await this.#lines.next()).value as string;
  }
}

describe('send and worker as commands', () => {
  let running: Process;
  let port: number;
  beforeAll(async () => {
    running = new Process(
      MODEL,
      '--listen',
      '127.0.0.1:0',
      '--json',
      '--verdict',
      '--large',
      'examples/traffic-large.onnx',
    );
    const listening = JSON.parse(await running.line());
    expect(listening).toMatchObject({ event: 'listening', model: 'traffic-mlp', layers: 4, modelVersion: 1 });
    port = listening.port;
  });
  afterAll(() => running.child.kill('SIGKILL'));

  it('gives one JSON document, and the bytes of the reference', async () => {
    const more = ['--verdict', '--layers', '0..1', '--rate', '5000', '--job', '0xabc', '--json'];
    const { code, out, err } = await send(`127.0.0.1:${port}`, ...more);
    expect([code, err]).toEqual([0, expect.stringContaining('send: rows: 50/50')]);
    expect(JSON.parse(out)).toMatchObject({
      ...{ output, jobId: '0x0000000000000abc', rows: 50, answered: 50, lost: 0, lostRows: [] },
      by: { network: 0, worker: 50, large: 0 },
    });
    const { model } = await example('traffic-mlp', { verdict: true, rows: 1 });
    expect(Buffer.compare(readFileSync(output), interpretRows(model, readFileSync(few)))).toBe(0);
  });

  it('prints a table of the raw rows, which the large model answers', async () => {
    const { code, out } = await send(`localhost:${port}`, '--verdict', '--window', '3');
    expect(code).toBe(0);
    expect(out).toMatch(/^rows +50\nanswered +50\n/);
    expect(out).toMatch(/by the large model +50, median [0-9.]+ ms\n/);
  });

  it('says what the worker holds otherwise, and writes nothing', async () => {
    const absent = join(folder, 'absent.bin');
    const { code, err } = await send(`127.0.0.1:${port}`, '--model-version', '4', '--output', absent);
    expect(code).toBe(1);
    expect(err).toContain('50 of 50 rows have no answer (unknown_version: 50): rows 0-49; ');
    expect(err).toContain('absent.bin was not written');
    expect(err).toContain('compare --model-id, --model-version, --verdict');
    expect(existsSync(absent)).toBe(false);
  });

  it('stops when it is told to, with its statistics, and leaves the address', async () => {
    running.child.kill('SIGTERM');
    const statistics = JSON.parse(await running.line());
    expect(statistics).toMatchObject({ event: 'statistics', refused: { unknown_version: 50 }, queue: 0 });
    expect(statistics.answered).toMatchObject({ 1: 50, large: 50 });
    expect(await running.exited).toBe(0);
    const { code, err } = await send(`127.0.0.1:${port}`, '--timeout', '50');
    expect(code).toBe(1);
    expect(err).toContain('nobody listens there (ECONNREFUSED)');
    expect(err).toContain('help: start `intransit worker` there');
  });

  it('worker without --json prints lines for people', async () => {
    const plain = new Process(
      MODEL,
      '--listen',
      '127.0.0.1:0',
      '--on',
      'reference',
      '--stats-interval',
      '0.05',
    );
    expect(await plain.line()).toMatch(
      /^listening on 127\.0\.0\.1:\d+: traffic-mlp, model 1 version 1, on reference$/,
    );
    expect(await plain.line()).toContain('received 0; answered by cursor: none');
    plain.child.kill('SIGINT');
    expect(await plain.exited).toBe(0);
  });
});

describe('rows without an answer', () => {
  it('are named; --partial writes the others', async () => {
    const e = await example('traffic-mlp', { rows: 50 });
    const w = await worker({ ...e, on: 'reference' });
    const lose = new Set([3, 7, 8, 9]);
    const path = await between(w, { forward: (p) => (lose.has(p.readUInt32BE(24)) ? [] : [p]) });
    const to = `127.0.0.1:${path.port}`;
    const whole = join(folder, 'whole.bin');
    const options = ['--timeout', '200', '--retries', '1'];
    const first = await send(to, '--output', whole, ...options);
    expect(first.code).toBe(1);
    expect(first.err).toContain('4 of 50 rows have no answer (no answer: 4): rows 3, 7-9; ');
    expect(existsSync(whole)).toBe(false);

    const second = await send(to, '--output', whole, '--partial', '--json', ...options);
    expect(second.code).toBe(1);
    expect(second.err).toContain('they are zeros in ');
    expect(JSON.parse(second.out).lostRows).toEqual(
      [3, 7, 8, 9].map((row) => ({ row, reason: 'no answer' })),
    );
    const expected = Uint8Array.from(e.expected);
    for (const row of lose) expected.fill(0, row * 7, row * 7 + 7);
    expect(Buffer.compare(readFileSync(whole), expected)).toBe(0);
  });
});

describe('refusals', () => {
  it.each<[string[], number, string]>([
    [['--to', 'nowhere.invalid'], 1, 'nowhere.invalid has no IPv4 address'],
    [['--input', 'examples/absent.bin'], 1, 'absent.bin: cannot be read'],
    [['--input', 'examples/README.md'], 1, 'not a whole number of rows of 16'],
    [['--layers', '0..3'], 1, '--layers 0..3 does not name layers'],
    [['--layers', '0..9'], 1, '[layer-range]'],
    [['--mtu', '68', '--input', 'examples/absent.bin'], 1, 'cannot be read'],
    [['--to', ''], 2, '--to : must be HOST'],
    [['--to', '[::1]:5'], 2, 'IPv4'],
    [['--to', 'host:port'], 2, '--to host:port: must be HOST'],
    [['--to', 'host:70000'], 2, 'port 70000: must be a whole number from 1 to 65535'],
    [['--to', 'host:0'], 2, 'port 0'],
    [['--layers', '1..2'], 2, '--layers 1..2: must be 0..K'],
    [['--layers', '0..1', '--model-version', '0'], 2, 'must be named'],
    [['--rate', '0'], 2, '--rate 0'],
    [['--window', '0'], 2, '--window 0'],
    [['--timeout', '0'], 2, '--timeout 0'],
    [['--retries', '-1'], 2, '--retries -1'],
    [['--zone', '256'], 2, '--zone 256'],
    [['--job', '0x1ffffffffffffffff'], 2, '--job 0x1ffffffffffffffff'],
    [['--job', 'mine'], 2, '--job mine'],
    [['--mtu', '67'], 2, '--mtu 67'],
  ])('send %j', async (more, code, message) => {
    const given = await send('127.0.0.1:1', ...more);
    expect(given.err).toContain(message);
    expect([given.code, given.out]).toEqual([code, '']);
    expect(given.err).not.toMatch(/internal error|^\s+at /m);
  });

  it.each<[string[], number, string]>([
    [['--on', 'abacus'], 2, 'abacus'],
    [['--listen', 'a b'], 2, '--listen a b: must be HOST'],
    [['--listen', '127.0.0.1:99999'], 2, 'port 99999'],
    [['--listen', '203.0.113.77:0'], 1, 'cannot listen on 203.0.113.77:0'],
    [['--zones', '1,two'], 2, '--zones 1,two'],
    [['--zones', '0'], 2, '--zones 0'],
    [['--batch', '0'], 2, '--batch 0'],
    [['--model-version', '0'], 2, '--model-version 0'],
    [['--stats-interval', '0'], 2, '--stats-interval 0'],
    [['--large', 'examples/traffic-large.onnx'], 1, 'ends in no verdict'],
    [['--mtu', '60'], 2, '--mtu 60'],
  ])('worker %j', async (more, code, message) => {
    const given = await intransit('worker', MODEL, ...more);
    expect(given.err).toContain(message);
    expect([given.code, given.out]).toEqual([code, '']);
    expect(given.err).not.toMatch(/internal error|^\s+at /m);
  });

  it('worker --on onnxruntime without an ONNX graph', async () => {
    const { code, err } = await intransit('worker', 'examples/parity.json', '--on', 'onnxruntime');
    expect([code, err]).toEqual([1, expect.stringContaining('use --on reference')]);
  });

  it('a tensor that would need too many packets', async () => {
    const json = join(folder, 'large.json');
    const layer = { kind: 'maxPool', kernel: [50, 50], strides: [50, 50] };
    const input = { element: 'uint8', shape: [1, 50, 50], scale: 1 };
    writeFileSync(json, JSON.stringify({ format: 'intransit-model', version: 1, input, layers: [layer] }));
    const rows = join(folder, 'large.bin');
    writeFileSync(rows, new Uint8Array(2500));
    const { code, err } = await intransit(
      ...['send', json, '--to', 'localhost', '--input', rows, '--output', output, '--mtu', '68'],
    );
    expect(code).toBe(1);
    expect(err).toContain('makes 313 packets at an MTU of 68; at most 255');
  });
});

describe('--verdict', () => {
  it('appends a layer for every command that reads a model', async () => {
    const inspected = await intransit('inspect', MODEL, '--verdict', '--json');
    expect(JSON.parse(inspected.out).layers.at(-1)).toMatchObject({ name: 'verdict', kind: 'argmax' });
    const run = ['run', MODEL, '--on', 'reference', '--input', few, '--output', output, '--verdict'];
    expect((await intransit(...run)).code).toBe(0);
    expect(readFileSync(output)).toHaveLength(100);
    const verified = await intransit(
      'verify',
      MODEL,
      '--on',
      'reference',
      '--input',
      few,
      '--verdict',
      '--json',
    );
    expect(JSON.parse(verified.out).reference).toEqual({ rows: 50, elements: 100, mismatches: 0 });
  });
});
