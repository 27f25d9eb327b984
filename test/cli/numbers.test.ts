/** Every option that takes a number, of every command, with what is none. */
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';
import type { Argv } from 'yargs';
import { commandsOf } from '../../src/cli/run.ts';
import { intransit, testFolder } from '../support/io.ts';

/** Nothing is to come of any of them. */
const OUT = join(testFolder(), 'out');
const MODEL = 'examples/traffic-mlp.onnx';
const INPUT = ['--input', 'examples/traffic-mlp.x.bin'];

/** What else each command needs to come to its options. */
const lines: Readonly<Record<string, readonly string[]>> = {
  compile: ['compile', MODEL, '--target', 'xdp', '-o', OUT],
  quantise: ['quantise', MODEL, '--calibrate', 'none.npy', '-o', `${OUT}.onnx`],
  inspect: ['inspect', MODEL],
  plan: ['plan', MODEL, '--topology', 'none.json'],
  deploy: ['deploy', 'none.json'],
  controller: ['controller'],
  watch: ['watch'],
  events: ['events'],
  handover: ['handover', 'none', 'none'],
  run: ['run', MODEL, '--on', 'reference', ...INPUT, '--output', OUT],
  verify: ['verify', MODEL, '--on', 'reference', ...INPUT],
  send: ['send', MODEL, '--to', '127.0.0.1:9', ...INPUT],
  worker: ['worker', MODEL],
  bench: ['bench', MODEL],
  features: ['features', 'traffic-16', '--pcap', 'none', '-o', OUT],
  classify: ['classify', MODEL, '--features', 'traffic-16', '--pcap', 'none'],
  demo: ['demo'],
  agent: ['agent', '--name', 'none', '--interface', 'none0=1'],
};

/** Through the whole command line. */
const NOT_NUMBERS = ['NaN', 'Infinity', '-1', '1e99', '0x', ''];
/** Of the option alone: it is the same for all. */
const ODD = [
  '-Infinity',
  '1e999',
  '0x10',
  ' ',
  '1.5.2',
  '1,',
  '1_000',
  '٣',
  '9'.repeat(400),
  '\x1b[2J',
  'true',
  'null',
  '[1]',
  '--',
];

interface Option {
  readonly coerce?: (given: unknown) => unknown;
}

/** The declared options of a command, by name; also those of its own commands. */
function optionsOf(build: (y: Argv) => unknown): ReadonlyMap<string, Option> {
  const found = new Map<string, Option>();
  const recorder: unknown = new Proxy(() => {}, {
    get:
      (_, method) =>
      (...given: unknown[]) => {
        if (method === 'option') found.set(given[0] as string, given[1] as Option);
        return recorder;
      },
  });
  build(recorder as Argv);
  return found;
}

/** What an option says of a value; undefined where it takes it. */
function refusal({ coerce }: Option, value: string): string | undefined {
  try {
    coerce?.(value);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const numeric: (readonly [command: string, option: string, isWhole: boolean, declared: Option])[] = [];
for (const module of await commandsOf(
  ['--help'],
  { out() {}, err() {}, interactive: false },
  () => {},
  '0',
)) {
  const command = String(module.command).split(' ')[0]!;
  for (const [name, option] of optionsOf(module.builder as (y: Argv) => unknown)) {
    const said = refusal(option, 'NaN') ?? '';
    if (/must be a (whole )?number/.test(said)) numeric.push([command, name, said.includes('whole'), option]);
  }
}

/** Texts with numbers in them, which are read apart. */
const composed: readonly (readonly [command: string, option: string, values: readonly string[]])[] = [
  ...['compile', 'run', 'verify', 'bench'].map(
    (c) =>
      [c, 'layers', ['NaN..2', '0..NaN', '-1..2', '1.5..2', '0x0..2', '', '1e9', '0..Infinity']] as const,
  ),
  ['send', 'layers', ['NaN', '0..NaN', '0..-1', '0..1.5', '', '1..2', '0..1e9', '0..Infinity']],
  ['send', 'job', ['NaN', '-1', '1.5', '0x', '', '1e9', 'Infinity', '18446744073709551616']],
  ['send', 'to', ['a:NaN', 'a:-1', 'a:1e3', 'a:', 'a:0', 'a:65536', 'a:1.5', 'a:0x10', '']],
  ['worker', 'zones', ['NaN', '-1', '1.5', '0', '256', '1e1', '', '1,,2', '0x1', 'Infinity']],
  ['worker', 'listen', ['a:NaN', 'a:-1', 'a:1e3', 'a:65536', 'a:1.5', 'a:0x10']],
  ['deploy', 'election-id', ['NaN', '-1', '0', '1.5', '0x1', '', '1e9', 'Infinity', `${2n ** 128n}`]],
  ['agent', 'device-id', ['NaN', '-1', '0', '1.5', '0x1', '', '1e9', 'Infinity', `${2n ** 64n}`]],
  ['agent', 'interface', ['a=NaN', 'a=-1', 'a=511', 'a=1.5', 'a=0x1', 'a=', 'a=1e2']],
  ['agent', 'listen', ['127.0.0.1:NaN', '127.0.0.1:-1', '127.0.0.1:65536', '127.0.0.1:1e3']],
  ['quantise', 'weights', ['NaN', '5', '-1', '1e99', '0x', '4.5', 'Infinity']],
  ['compile', 'input-range', ['NaN..1', '0..NaN', '0..Infinity', '1', '0x..1', '', '1e999..2']],
  ['compile', 'output-range', ['NaN..1', '0..NaN', '0..Infinity', '1', '0x..1', '', '1e999..2']],
  ['events', 'since', ['NaN', '-1s', '1.5h', '1e9s', '', 'Infinity', '0x1s', '99999999999999s']],
  ['events', 'until', ['NaN', '-1s', '1.5h', '1e9s', '', 'Infinity', '0x1s', '2030-13-45']],
];

async function expectUsage(line: readonly string[], option: string, value: string): Promise<void> {
  const { code, out, err } = await intransit(...line, `--${option}=${value}`);
  expect([code, out], `--${option}=${value}: ${err}`).toEqual([2, '']);
  expect(err).toContain(`--${option}`);
  expect(err).not.toMatch(/internal error|^\s+at /m);
}

describe('an option of a number', () => {
  it('is found in all commands', () => {
    expect(numeric.length).toBeGreaterThan(44);
    expect(new Set(numeric.map(([, option]) => option))).toContain('gone-after');
  });

  it.each(numeric)('%s --%s', async (command, option, isWhole, declared) => {
    const line = lines[command];
    if (line === undefined) return expect.fail(`say what ${command} needs`);
    for (const value of [...NOT_NUMBERS, ...(isWhole ? ['1.5'] : [])]) await expectUsage(line, option, value);
    for (const value of [...ODD, ...(isWhole ? ['1e-1', '0.999'] : [])])
      expect(refusal(declared, value), value).toContain(`--${option}`);
  });

  it.each(composed)('%s --%s, in a text', async (command, option, values) => {
    for (const value of values) await expectUsage(lines[command]!, option, value);
  });
});
