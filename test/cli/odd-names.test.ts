/** Names out of files that a terminal, a browser or a compiler would act on: wherever they come out again they are only shown. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { intransit, testFolder } from '../support/io.ts';
import { isRoot } from '../support/machine.ts';

const folder = testFolder();
const path = (name: string) => join(folder, name);
const file = (name: string, content: string) => {
  writeFileSync(path(name), content);
  return path(name);
};

/** What a terminal acts on, but for line ends; tabs are those of code. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const ACTING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
const NAME = 'a\x1b[2J\u009b1m\u202e\u2028\n*/ evil(); /* </title><script>alert(1)</script> \'"\\';

const example = (name: string) => `examples/${name}`;
const CAPTURE = 'examples/captures/KakaoTalk_chat.pcap';
const grid = { element: 'int8', scale: 1 };
const dense = { name: NAME, kind: 'dense', weights: [1, 2, 3, 4], weightScale: 0.1, output: grid };
const model = file(
  'model.json',
  JSON.stringify({
    format: 'intransit-model',
    version: 1,
    input: { element: 'uint8', shape: [2], scale: 0.1 },
    layers: [dense, { ...dense, name: `${NAME}2` }],
  }),
);

const topology = (() => {
  const text = readFileSync(example('topologies/factory.json'), 'utf8');
  const { nodes } = JSON.parse(text);
  return file('topology.json', text.replaceAll(JSON.stringify(nodes[0].name), JSON.stringify(NAME)));
})();

const deployment = (devices: readonly object[], more: object = {}) =>
  JSON.stringify({
    format: 'intransit-deployment',
    version: 1,
    model: { file: join(process.cwd(), example('traffic-mlp.onnx')), version: 1 },
    devices,
    ...more,
  });
const at = { address: '127.0.0.1:1', kind: 'v1model' };

const capture = path('a\x1b[2J\u202e<script>alert(1)<.pcap');
copyFileSync(CAPTURE, capture);

/** Every file below a folder, with its text. */
const textsOf = (at: string): readonly (readonly [string, string])[] =>
  readdirSync(at, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.\w+$/.test(name) && !/\.(bin|o)$/.test(name))
    .map((name) => [name, readFileSync(join(at, name), 'utf8')]);

const classified = ['classify', example('traffic-mlp.onnx'), '--features', 'traffic-16', '--pcap'];

/** Command lines that tell of such names; `out` is a folder of their own for what they write. */
const tellers: Readonly<Record<string, (out: string) => readonly string[]>> = {
  inspect: () => ['inspect', model],
  ...Object.fromEntries(
    ['xdp', 'v1model', 'tna'].flatMap((target) => [
      [
        `inspect ${target}`,
        (out: string) => ['inspect', model, '--target', target, '--svg', join(out, 'a.svg')],
      ],
      [
        `compile ${target}`,
        (out: string) => ['compile', model, '--target', target, '--no-build', '-o', join(out, 'made')],
      ],
    ]),
  ),
  'inspect --json': () => ['inspect', model, '--target', 'xdp', '--json'],
  'plan, its nodes': (out) => [
    ...['plan', example('traffic-mlp.onnx'), '--topology', topology, '--svg', join(out, 'a.svg')],
  ],
  'plan, its layers': (out) => [
    ...['plan', model, '--topology', example('topologies/factory.json'), '--svg', join(out, 'a.svg')],
  ],
  'plan --json': () => ['plan', example('traffic-mlp.onnx'), '--topology', topology, '--json'],
  'deploy, names of devices': () => [
    'deploy',
    file('names.json', deployment([{ ...at, name: NAME }])),
    '--dry-run',
  ],
  'deploy, addresses': () => [
    'deploy',
    file('addresses.json', deployment([{ ...at, name: 'a', address: NAME }])),
    '--dry-run',
  ],
  'deploy, files': () => ['deploy', file('files.json', deployment([{ ...at, name: 'a' }], { plan: NAME }))],
  'deploy, fields': () => ['deploy', file('fields.json', deployment([{ ...at, name: 'a', [NAME]: 1 }]))],
  'classify, its captures': (out) => [...[...classified, capture, '--html', join(out, 'a.html')]],
  'classify --json': () => [...classified, capture, '--json'],
  'classify, names of classes': (out) => [
    ...[...classified, CAPTURE, '--html', join(out, 'a.html'), '--class-names', `${NAME},b,c,d`],
  ],
  'features, its captures': (out) => ['features', 'traffic-16', '--pcap', capture, '-o', join(out, 'x.bin')],
  'features, names in definitions': (out) => [
    ...[
      'features',
      file(
        'names.yaml',
        readFileSync('gallery/traffic-16.yaml', 'utf8').replace(
          /^name: .*$/m,
          `name: ${JSON.stringify(NAME)}`,
        ),
      ),
    ],
    ...['--pcap', CAPTURE, '-o', join(out, 'x.bin')],
  ],
  'apply, names of objects': () => [
    'apply',
    '-f',
    file('object.yaml', `kind: ${JSON.stringify(NAME)}\nmetadata: { name: ${JSON.stringify(NAME)} }\n`),
    '--controller',
    `unix:${path('none')}`,
  ],
  'an address of a controller': () => ['get', 'devices', '--controller', NAME],
  'a name of a store': () => ['controller', '--store', NAME],
  'an address to listen at': () => ['controller', '--listen', NAME],
  'an unknown option': () => ['inspect', model, `--${NAME}`],
  'an unknown command': () => [NAME],
  'a choice': () => ['inspect', model, '--target', NAME],
  'a name of a client': () => ['controller', '--allow', `${NAME} `],
  'a time': () => ['events', '--since', NAME],
  'a range': () => ['inspect', model, '--input-range', NAME],
  'a name of a tensor': () => ['inspect', example('traffic-mlp.onnx'), '--input-tensor', NAME],
  ...(isRoot
    ? {
        'a name of an agent': () => ['agent', '--name', NAME, '--interface', 'none0=1'],
        'an interface': () => ['agent', '--name', 'odd-names', '--interface', NAME],
      }
    : {}),
};

describe.each(Object.entries(tellers))('%s', (title, argv) => {
  it('acts on nobody', async () => {
    const out = path(title.replaceAll(/\W/g, '-'));
    mkdirSync(out);
    const told = await intransit(...argv(out));
    const texts = [['output', told.out], ['messages', told.err], ...textsOf(out)] as const;
    expect(texts.map(([, text]) => text).join('').length).toBeGreaterThan(20);
    for (const [where, text] of texts) {
      expect(text, where).not.toMatch(ACTING);
      expect(text, where).not.toMatch(/internal error|^\s+at \S+ \(/m);
      if (/\.(svg|html)$/.test(where)) expect(text, where).not.toMatch(/<script>alert|<\/title><script/);
      if (/\.(c|p4|h)$/.test(where)) expect(text, where).not.toContain('*/ evil');
    }
    if (argv(out).includes('--json')) JSON.parse(told.out);
  }, 60_000);
});

it('types of a P4Info whose tables have such names are one literal each, in ASCII', async () => {
  const text = readFileSync('test/p4runtime/fixtures/conformance.p4info.txt', 'utf8');
  const name = /tables \{[^}]*?name: "([^"]+)"/.exec(text)![1]!;
  const odd = `${name}\\033[2J\\n'; */ evil(); /* \\342\\200\\256`;
  const { code, out } = await intransit(
    'p4info',
    'types',
    file('odd.p4info.txt', text.replaceAll(`"${name}"`, `"${odd}"`)),
  );
  expect(code).toBe(0);
  expect(out).toMatch(/^[\n\x20-\x7e]*$/);
  expect(out).toContain(`'${name}\\u001b[2J\\u000a\\'; */ evil(); /* \\u202e'`);
});
