import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exportJson } from '../../src/import/json/export.ts';
import { importJson } from '../../src/import/json/index.ts';
import { importOnnx } from '../../src/import/onnx/index.ts';
import { onnxModelType } from '../../src/import/onnx/proto.ts';
import { type OptionSpec, writeTflite } from '../../test/import/tflite-writer.ts';
import { type Random, random } from '../../test/support/random.ts';

/**
 * Damaged and hostile model files, the same for the same number, of those in the repository; INTRANSIT_ATTACK_MODELS may name a folder
 * with more, such as scripts/random-nets.py makes.
 */

export type Format = 'onnx' | 'tflite' | 'json';

export interface HostileFile {
  readonly format: Format;
  readonly bytes: Uint8Array;
}

const example = (name: string): Uint8Array =>
  readFileSync(new URL(`../../examples/${name}`, import.meta.url));

function tflite(): Uint8Array {
  const weights = Array.from({ length: 3 * 2 * 2 * 2 }, (_, i) => (i % 7) - 3);
  const window = (filter: number): OptionSpec[] => [
    [0, 'int8', 1],
    [1, 'int32', 1],
    [2, 'int32', 1],
    ...([3, 4].map((field) => [field, 'int32', filter]) as OptionSpec[]),
  ];
  return writeTflite({
    tensors: [
      { name: 'x', shape: [1, 4, 4, 2], kind: 'int8', scale: 0.5, zero: 3 },
      { name: 'w', shape: [3, 2, 2, 2], kind: 'int8', scale: 0.01, data: weights },
      { name: 'b', shape: [3], kind: 'int32', scale: 0.005, data: [1, -2, 3] },
      { name: 'c', shape: [1, 3, 3, 3], kind: 'int8', scale: 0.7, zero: -1 },
      { name: 'y', shape: [1, 1, 1, 3], kind: 'int8', scale: 0.7, zero: -1 },
    ],
    operators: [
      { op: 'CONV_2D', in: [0, 1, 2], out: [3], options: window(0).slice(0, 3) },
      { op: 'AVERAGE_POOL_2D', in: [3], out: [4], options: window(3) },
    ],
    inputs: [0],
    outputs: [4],
  });
}

interface Seed extends HostileFile {
  /** The file as an object whose fields can be changed. */
  readonly decode?: () => unknown;
  readonly encode?: (value: unknown) => Uint8Array;
}

function onnxSeed(bytes: Uint8Array): Seed {
  const type = onnxModelType();
  return {
    format: 'onnx',
    bytes,
    decode: () => type.toObject(type.decode(bytes), { longs: Number, arrays: true }),
    encode: (value) => type.encode(type.fromObject(value as object)).finish(),
  };
}

function jsonSeed(text: string): Seed {
  const bytes = new TextEncoder().encode(text);
  return {
    format: 'json',
    bytes,
    decode: () => JSON.parse(text),
    encode: (value) => new TextEncoder().encode(JSON.stringify(value)),
  };
}

let made: readonly Seed[] | undefined;

function seeds(): readonly Seed[] {
  if (made !== undefined) return made;
  const onnx = ['digits-mlp.onnx', 'digits-cnn.onnx', 'traffic-mlp.onnx'].map(example);
  const cnn = importOnnx(onnx[1]!, 'digits-cnn.onnx').model;
  const json = JSON.stringify(exportJson(cnn));
  importJson(json, 'seed.json');
  const others = [fixtures, `${fixtures}cases/`, process.env.INTRANSIT_ATTACK_MODELS].flatMap(filesIn);
  made = [
    ...onnx.map(onnxSeed),
    { format: 'tflite', bytes: tflite() },
    jsonSeed(json),
    jsonSeed(small),
    ...others,
  ];
  return made;
}

const fixtures = fileURLToPath(new URL('../../test/import/fixtures/', import.meta.url));

/** ONNX and TFLite files of a folder, each the more to be mutated. */
function filesIn(folder: string | undefined): Seed[] {
  if (folder === undefined) return [];
  const named = (extension: string) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(extension))
      .sort()
      .map((name) => readFileSync(join(folder, name)));
  return [
    ...named('.onnx').map(onnxSeed),
    ...named('.tflite').map((bytes): Seed => ({ format: 'tflite', bytes })),
  ];
}

const small = JSON.stringify({
  format: 'intransit-model',
  version: 1,
  input: { element: 'uint8', shape: [2, 4, 4], scale: 0.1 },
  layers: [
    {
      kind: 'conv2d',
      weights: new Array(16).fill(3),
      weightScale: 0.1,
      kernel: [2, 2],
      output: { element: 'int8', scale: 0.2 },
    },
    { kind: 'maxPool', kernel: [3, 3] },
    {
      kind: 'dense',
      weights: [
        [1, 2],
        [3, 4],
        [-5, 6],
      ],
      weightScale: [0.1, 0.2, 0.3],
      bias: [1, 2, 3],
      output: { element: 'int8', scale: 0.2 },
    },
    { kind: 'lut', function: 'sigmoid', output: { element: 'uint8', scale: 0.004 } },
    { kind: 'argmax' },
  ],
});

const NUMBERS: readonly number[] = [
  0,
  -1,
  1,
  2,
  7,
  127,
  128,
  255,
  256,
  65_535,
  65_536,
  130_000,
  1e6,
  1e9,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  -(2 ** 31),
  2 ** 53 - 1,
  1e-38,
  1e-45,
  1e38,
  0.5,
  -0.1,
  3.5,
];
const REALS: readonly number[] = [
  ...NUMBERS,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  1e308,
];

/** File number `n`. */
export function hostileFile(n: number): HostileFile {
  const r = random(n * 2_654_435_761);
  const seed = r.pick(seeds());
  if (seed.decode === undefined || seed.encode === undefined || r.chance(0.4))
    return { format: seed.format, bytes: damaged(r, seed.bytes) };
  const value = seed.decode();
  for (let i = r.int(1, 3); i > 0; i--) changeField(r, value);
  try {
    return { format: seed.format, bytes: seed.encode(value) };
  } catch {
    // What cannot be written is no file.
    return { format: seed.format, bytes: damaged(r, seed.bytes) };
  }
}

/** Flips, overwrites, cuts, doubles and splices bytes. */
function damaged(r: Random, source: Uint8Array): Uint8Array {
  let bytes = Buffer.from(source);
  for (let i = r.int(1, 6); i > 0 && bytes.length > 8; i--) {
    // Most of a file is weights; what matters stands at its ends.
    const near = r.chance(0.7) ? Math.min(bytes.length, 1200) : bytes.length;
    const at = r.chance(0.5) ? r.int(0, near - 1) : bytes.length - 1 - r.int(0, near - 1);
    switch (r.int(0, 6)) {
      case 0:
        bytes[at]! ^= 1 << r.int(0, 7);
        break;
      case 1:
        bytes[at] = r.int(0, 255);
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          bytes.subarray(Math.min(bytes.length, at + r.int(1, 40))),
        ]);
        break;
      case 4:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          Buffer.from(bytes.subarray(at, at + r.int(1, 400))),
          bytes.subarray(at),
        ]);
        break;
      case 5:
        if (at + 4 <= bytes.length)
          bytes.writeInt32LE(r.pick([0, -1, 2 ** 31 - 1, -(2 ** 31), 1e9, 130_000, at, -at, 4, -4]), at);
        break;
      default:
        if (at + 4 <= bytes.length) bytes.writeFloatLE(r.pick(REALS), at);
    }
  }
  return bytes;
}

/** Walks into the object by chance and changes what it comes to. */
function changeField(r: Random, root: unknown): void {
  let holder = root as Record<string, unknown>;
  for (;;) {
    const keys = Object.keys(holder);
    if (keys.length === 0) return;
    const key = r.pick(keys);
    const value = holder[key];
    const deeper = typeof value === 'object' && value !== null && !ArrayBuffer.isView(value);
    if (deeper && !r.chance(0.12)) {
      holder = value as Record<string, unknown>;
      continue;
    }
    holder[key] = changed(r, value, root);
    if (r.chance(0.05)) delete holder[key];
    return;
  }
}

function changed(r: Random, value: unknown, root: unknown): unknown {
  if (typeof value === 'number') return r.pick(r.chance(0.8) ? NUMBERS : REALS);
  if (typeof value === 'string')
    return r.chance(0.6)
      ? anyString(r, root)
      : r.pick(['', 'x'.repeat(10_000), '\x1b[2J', '__proto__', 'constructor']);
  if (Array.isArray(value)) {
    if (r.chance(0.3)) return [];
    if (r.chance(0.3)) return value.slice(0, r.int(0, value.length));
    if (r.chance(0.4)) return Array.from({ length: 300 }, (_, i) => value[i % Math.max(1, value.length)]);
    return value.map((item) => (typeof item === 'number' ? r.pick(NUMBERS) : item)).reverse();
  }
  if (value instanceof Uint8Array)
    return r.chance(0.5)
      ? value.subarray(0, r.int(0, value.length))
      : Buffer.from(value).fill(r.pick([0, 0xff, 0x7f, 0x80]));
  return r.pick([null, {}, [], true, 'text', 1e9]);
}

/** Some string of the same file: names that clash, cycles. */
function anyString(r: Random, root: unknown): string {
  const found: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value === 'string') found.push(value);
    else if (Array.isArray(value) && typeof value[0] === 'number') return;
    else if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value))
      for (const inner of Object.values(value)) walk(inner);
  };
  walk(root);
  return found.length === 0 ? '' : r.pick(found);
}
