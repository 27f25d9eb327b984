import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { printable, printableJson } from '../../src/diagnostics/index.ts';
import { intransit, type Outcome, testFolder } from '../support/io.ts';

const folder = testFolder();
const path = (name: string) => join(folder, name);
const file = (name: string, content: string | Uint8Array) => {
  writeFileSync(path(name), content);
  return path(name);
};

/** What a terminal acts on; line ends are the program's own. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const ACTING = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

function expectTold({ code, out, err }: Outcome, wanted: 1 | 2): void {
  expect(err).not.toMatch(/internal error|^\s+at /m);
  expect(err).not.toMatch(ACTING);
  expect(out).not.toMatch(ACTING);
  expect(err).toMatch(/^intransit: /m);
  expect(code).toBe(wanted);
}

const MODEL = 'examples/traffic-mlp.onnx';
const ROWS = 'examples/traffic-mlp.x.bin';

/** Every place where a command reads a file that was named, the file being `f`. */
const readers: Readonly<Record<string, (f: string) => string[]>> = {
  compile: (f) => ['compile', f, '--target', 'xdp', '--no-build', '-o', path('out')],
  inspect: (f) => ['inspect', f],
  'plan: model': (f) => ['plan', f, '--topology', 'examples/topologies/factory.json'],
  'plan: topology': (f) => ['plan', MODEL, '--topology', f],
  deploy: (f) => ['deploy', f],
  'run: model': (f) => ['run', f, '--on', 'reference', '--input', ROWS, '--output', path('y')],
  'run: input': (f) => ['run', MODEL, '--on', 'reference', '--input', f, '--output', path('y')],
  verify: (f) => ['verify', MODEL, '--on', 'reference', '--input', f],
  send: (f) => ['send', MODEL, '--to', '127.0.0.1:9', '--input', f, '--output', path('y')],
  worker: (f) => ['worker', f, '--listen', '127.0.0.1:0'],
  'worker: large': (f) => ['worker', MODEL, '--verdict', '--listen', '127.0.0.1:0', '--large', f],
  bench: (f) => ['bench', MODEL, '--input', f],
  p4info: (f) => ['p4info', 'types', f],
  'agent: certificate': (f) => [
    'agent',
    '--name',
    'odd',
    '--interface',
    'none0=1',
    '--tls-cert',
    f,
    '--tls-key',
    f,
  ],
};

const pipe = path('pipe');
spawnSync('mkfifo', [pipe]);
symlinkSync('loop', path('loop'));
mkdirSync(path('directory'));
const huge = file('huge.json', '{');
// Without a byte on disk.
truncateSync(huge, 2 ** 32);

/** What is no file to read, and what is said of it. */
const others: readonly (readonly [title: string, file: string, message: RegExp])[] = [
  ['a device without end', '/dev/zero', /\/dev\/zero: cannot be read: it is a device/],
  ['a pipe that nobody writes to', pipe, /cannot be read: it is a named pipe/],
  ['a directory', path('directory'), /cannot be read: it is a directory/],
  ['a link to itself', path('loop'), /cannot be read: ELOOP/],
  ['a file as a directory', join(file('plain', 'x'), 'y'), /cannot be read: ENOTDIR/],
  ['nothing', '', /cannot be read|must be|is missing/],
  ['a file of 4 GiB', huge, /is larger than the \d+ bytes|cannot be read/],
  [
    'a name that a terminal acts on',
    path('\x1b]0;owned\x07\n\u202eintransit: done'),
    /\\x1b\]0;owned\\x07\\n\\u202e.*cannot be read/,
  ],
];

describe.each(Object.entries(readers))('%s', (_, argv) => {
  it.each(others)('%s is refused', async (__, f, message) => {
    const told = await intransit(...argv(f));
    expectTold(told, 1);
    expect(told.err).toMatch(message);
  });
});

describe('files that are written', () => {
  const writers: Readonly<Record<string, (f: string) => string[]>> = {
    compile: (f) => ['compile', MODEL, '--target', 'v1model', '--no-build', '-o', f],
    inspect: (f) => ['inspect', MODEL, '--svg', f],
    plan: (f) => ['plan', MODEL, '--topology', 'examples/topologies/factory.json', '--svg', f],
    run: (f) => ['run', MODEL, '--on', 'reference', '--rows', '1', '--input', ROWS, '--output', f],
  };
  const places = [join(path('plain'), 'below'), join(path('loop'), 'x'), '/proc/self/x', '/dev/null/x'];
  it.each(
    Object.entries(writers).flatMap(([command, argv]) => places.map((f) => [command, f, argv] as const)),
  )('%s to %s', async (_, f, argv) => expectTold(await intransit(...argv(f)), 1));
});

describe('a device that is written to', () => {
  const run = (f: string) => [
    'run',
    MODEL,
    '--on',
    'reference',
    '--rows',
    '1',
    '--input',
    ROWS,
    '--output',
    f,
  ];
  it('stays one', async () => {
    // As /dev/null is: a file that took its place would be the end of many programs.
    const made = path('null');
    if (spawnSync('mknod', [made, 'c', '1', '3']).status !== 0) return expect(process.getuid!()).not.toBe(0);
    expect((await intransit(...run(made))).code).toBe(0);
    expect(statSync(made).isCharacterDevice()).toBe(true);
  });
  it('is refused where nobody reads', async () => expectTold(await intransit(...run(pipe)), 1));
});

describe('more layers than a cursor counts', () => {
  const layer = { kind: 'dense', weights: [1], weightScale: 0.1, output: { element: 'uint8', scale: 0.1 } };
  const deep = (layers: number) =>
    file(
      `deep-${layers}.json`,
      JSON.stringify({
        format: 'intransit-model',
        version: 1,
        input: { element: 'uint8', shape: [1], scale: 0.1 },
        layers: Array.from({ length: layers }, () => layer),
      }),
    );
  it.each([
    ['compile', deep(258), '--target', 'xdp', '--no-build', '-o', path('deep'), '--layers', '256..258'],
    ['compile', deep(258), '--target', 'v1model', '--no-build', '-o', path('deep'), '--layers', '256..258'],
    ['inspect', deep(256), '--target', 'v1model', '--layers', '0..2'],
    ['send', deep(256), '--to', '127.0.0.1:9', '--input', file('one', 'x'), '--output', path('y')],
    ['worker', deep(256), '--listen', '127.0.0.1:0', '--on', 'reference'],
  ])('%s refuses it', async (...argv) => {
    const told = await intransit(...argv);
    expectTold(told, 1);
    expect(told.err).toMatch(/needs 25[68] layers of the cursor of packets, .* has 255/);
  });
});

describe('YAML that is nested without end', () => {
  it.each([
    ['lists', '['.repeat(100_000)],
    ['objects on a line', 'a: '.repeat(100_000)],
    ['dashes on a line', '- '.repeat(100_000)],
    ['lines that are set in', Array.from({ length: 1200 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
  ])('%s', async (_, text) => {
    const f = file('deep.yaml', text);
    for (const argv of [
      ['features', f, '--pcap', 'none', '-o', path('x.npy')],
      ['apply', '-f', f, '--controller', 'unix:/none'],
    ]) {
      const started = process.cpuUsage();
      const told = await intransit(...argv);
      expectTold(told, 1);
      expect(told.err).toMatch(/deep\.yaml.*nested/);
      expect(process.cpuUsage(started).user / 1e6).toBeLessThan(4);
    }
  });
});

describe('a file that is no P4Info', () => {
  const many = (text: string) => text.repeat(300_000);
  it.each([
    ['a picture', Buffer.from('89504e470d0a1a0a0000000d', 'hex')],
    ['a JSON document', '{"tables": []}'],
    ['a model', readFileSync(MODEL)],
    ['another text', 'what is this'],
    ['brackets without end', many('tables { ')],
    ['messages in messages', Buffer.concat(Array.from({ length: 20_000 }, () => Buffer.of(0x12, 0x7f)))],
    ['a number of 300,000 digits', `tables { preamble { id: ${many('9')} } }`],
    ['a text that does not end', `tables { preamble { name: "${many('x')}`],
  ])('%s is told with 1, soon', async (_, content) => {
    const started = process.cpuUsage();
    const told = await intransit('p4info', 'types', file('odd.p4info', content));
    expectTold(told, 1);
    expect(told.err).toMatch(/odd\.p4info: is no P4Info: /);
    expect(told.err.length).toBeLessThan(2000);
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(4);
  });
});

describe('what a message repeats', () => {
  it('says where JSON goes wrong, and quotes nothing of it', async () => {
    const secret = file('secret', 'root:$6$abcdefgh:19000:0:99999:7:::\n');
    const deployment = {
      format: 'intransit-deployment',
      version: 1,
      model: { file: MODEL, version: 1 },
      plan: secret,
      devices: [{ name: 'a', address: '127.0.0.1:1', target: 'v1model' }],
    };
    for (const argv of [
      ['deploy', file('quoting.json', JSON.stringify(deployment))],
      ['deploy', secret],
      ['plan', MODEL, '--topology', secret],
      ['compile', file('secret.json', readFileSync(secret)), '--target', 'xdp', '-o', path('out')],
    ]) {
      const told = await intransit(...argv);
      expectTold(told, 1);
      expect(told.err).not.toMatch(/root:|abcdefgh/);
    }
  });

  it.each([
    ['hello', 'line 1, column 1'],
    ['{"a": 1,\n  2}', 'line 2, column 3'],
    ['[1,\n 2,\n]', 'line 3, column 1'],
    ['{"a": ', 'it ends too early'],
    ['', 'it ends too early'],
  ])('%j: %s', async (text, place) => {
    const told = await intransit('plan', MODEL, '--topology', file('place.json', text));
    expectTold(told, 1);
    expect(told.err).toContain(place);
  });

  it('shows names of layers as one line without controls, in text and in JSON', async () => {
    const name = 'a\x1b[2J\nintransit: done\u009b1m\u202e';
    const layer = {
      name,
      kind: 'dense',
      weights: [1, 2],
      weightScale: 0.1,
      output: { element: 'int8', scale: 1 },
    };
    const model = {
      format: 'intransit-model',
      version: 1,
      input: { element: 'uint8', shape: [2], scale: 0.1 },
      layers: [layer],
    };
    const f = file('names.json', JSON.stringify(model));
    const shown = await intransit('inspect', f);
    expect([shown.code, shown.out.match(ACTING)]).toEqual([0, null]);
    expect(shown.out).not.toMatch(/^intransit: done/m);
    const { out, code } = await intransit('inspect', f, '--json');
    expect([code, out.match(ACTING)]).toEqual([0, null]);
    expect(JSON.parse(out).layers[0].name).toBe(name);
  });

  it('keeps long texts short, and all others as they are', () => {
    expect(printable('ä 日本 "x" \\')).toBe('ä 日本 "x" \\');
    expect(printable('x'.repeat(20_000)).length).toBeLessThan(1100);
    const value = { a: 'x\u007f\u009b\u202e\n"' };
    expect(JSON.parse(printableJson(JSON.stringify(value)))).toEqual(value);
  });
});

it('a value that is none of the choices is told in one line, with the choices', async () => {
  const { code, err } = await intransit('inspect', MODEL, '--tflite-rounding', 'triple');
  expect(code).toBe(2);
  expect(err.split('\n')[0]).toBe('intransit: --tflite-rounding "triple": must be one of "double", "single"');
});
