/**
 * Random small TFLite networks against the second witness: `npx tsx scripts/random-tflite.ts FOLDER COUNT [SEED]`. Writes
 * FOLDER/<seed>.tflite and rows <seed>.x.bin, runs both roundings through the reference and through bench/tflite_reference.py (python3
 * with numpy), and prints what differs; ends with 1 where something does without a warning. The files may go to `intransit verify`.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DiagnosticError } from '../src/diagnostics/index.ts';
import { importTflite } from '../src/import/tflite/index.ts';
import type { TfliteRounding } from '../src/model/tflite-rounding.ts';
import { interpretRows } from '../src/reference/interpreter.ts';
import { activation, biases, int8s, scaleOf, weights } from '../test/import/tflite-blocks.ts';
import {
  type OperatorSpec,
  type OptionSpec,
  type TensorSpec,
  type TfliteSpec,
  writeTflite,
} from '../test/import/tflite-writer.ts';
import { type Random, random, randomRows } from '../test/support/random.ts';

const ROWS = 20;

/** A network that grows by one operator at a time; the newest tensor is the last of all values. */
class Net {
  readonly tensors: TensorSpec[] = [];
  readonly operators: OperatorSpec[] = [];
  readonly r: Random;
  readonly kind: 'int8' | 'uint8';

  constructor(r: Random) {
    this.r = r;
    this.kind = r.chance(0.8) ? 'int8' : 'uint8';
  }

  value(shape: readonly number[], scale = scaleOf(this.r, 0.02, 0.3), zero = this.zero()): number {
    const { kind } = this;
    return this.tensors.push(activation(`t${this.tensors.length}`, { shape, scale, zero, kind })) - 1;
  }

  zero = (): number => (this.kind === 'int8' ? this.r.int(-128, 127) : this.r.int(0, 255));

  /** The same grid as that of a tensor. */
  like(t: number, shape: readonly number[]): number {
    const { scale, zero } = this.tensors[t]!;
    return this.value(shape, scale as number, zero!);
  }

  constant = (spec: TensorSpec): number => this.tensors.push(spec) - 1;

  int32s = (values: readonly number[], shape: readonly number[] = [values.length]): number =>
    this.constant({ name: `c${this.tensors.length}`, kind: 'int32', shape, data: values });

  add(op: string, reads: readonly number[], out: number, options: readonly OptionSpec[] = []): number {
    this.operators.push({ op, in: reads, out: [out], options });
    return out;
  }

  shape = (t: number): readonly number[] => this.tensors[t]!.shape;
}

type Make = (n: Net, x: number) => number | undefined;

const isImage = (n: Net, x: number) => n.shape(x).length === 4;
const activationOf = (n: Net) => n.r.pick([0, 0, 1, 3]);

/** Sides of what a window of this size leaves. */
function windowed(n: Net, x: number, kernel: readonly [number, number], dilation: number) {
  const [, height, width] = n.shape(x) as [number, number, number, number];
  const same = n.r.chance(0.5);
  const stride = dilation > 1 ? 1 : n.r.int(1, 2);
  const side = (size: number, k: number) => {
    const reach = (k - 1) * dilation + 1;
    return same ? Math.ceil(size / stride) : Math.ceil((size - reach + 1) / stride);
  };
  const sides = [side(height, kernel[0]), side(width, kernel[1])] as const;
  const options: OptionSpec[] = [
    [0, 'int8', same ? 0 : 1],
    [1, 'int32', stride],
    [2, 'int32', stride],
  ];
  return sides.every((s) => s >= 1) ? { sides, options } : undefined;
}

const conv: Make = (n, x) => {
  if (!isImage(n, x)) return undefined;
  const kernel = [n.r.int(1, 3), n.r.int(1, 3)] as const;
  const dilation = n.r.chance(0.2) ? 2 : 1;
  const window = windowed(n, x, kernel, dilation);
  if (window === undefined) return undefined;
  const [outs, ins] = [n.r.int(1, 6), n.shape(x)[3]!];
  const w = n.constant(weights(n.r, [outs, ...kernel, ins], n.kind === 'int8' && n.r.chance(0.7) ? outs : 1));
  const out = n.value([1, ...window.sides, outs], scaleOf(n.r, 0.05, 1));
  return n.add('CONV_2D', [x, w, n.constant(biases(n.r, outs))], out, [
    ...window.options,
    [3, 'int8', activationOf(n)],
    [4, 'int32', dilation],
    [5, 'int32', dilation],
  ]);
};

const depthwise: Make = (n, x) => {
  if (!isImage(n, x)) return undefined;
  const kernel = [n.r.int(1, 3), n.r.int(1, 3)] as const;
  const window = windowed(n, x, kernel, 1);
  if (window === undefined) return undefined;
  const times = n.r.int(1, 2);
  const outs = n.shape(x)[3]! * times;
  const many = n.kind === 'int8' && n.r.chance(0.7);
  const w = n.constant(weights(n.r, [1, ...kernel, outs], many ? outs : 1, 3));
  const out = n.value([1, ...window.sides, outs], scaleOf(n.r, 0.05, 1));
  return n.add('DEPTHWISE_CONV_2D', [x, w, n.constant(biases(n.r, outs))], out, [
    ...window.options,
    [3, 'int32', times],
    [4, 'int8', activationOf(n)],
    [5, 'int32', 1],
    [6, 'int32', 1],
  ]);
};

const pool =
  (op: string): Make =>
  (n, x) => {
    if (!isImage(n, x)) return undefined;
    const kernel = [n.r.int(1, 3), n.r.int(1, 3)] as const;
    const window = windowed(n, x, kernel, 1);
    if (window === undefined) return undefined;
    const out = n.like(x, [1, ...window.sides, n.shape(x)[3]!]);
    return n.add(op, [x], out, [
      ...window.options,
      [3, 'int32', kernel[1]],
      [4, 'int32', kernel[0]],
      [5, 'int8', activationOf(n)],
    ]);
  };

const fullyConnected: Make = (n, x) => {
  const shape = n.shape(x);
  if (shape.length !== 2) return undefined;
  const [outs, ins] = [n.r.int(1, 12), shape[1]!];
  const w = n.constant(weights(n.r, [outs, ins], 1));
  const out = n.value([1, outs], scaleOf(n.r, 0.1, 2));
  return n.add('FULLY_CONNECTED', [x, w, n.constant(biases(n.r, outs))], out, [[0, 'int8', activationOf(n)]]);
};

/** With another branch, which is the same value on a grid of its own. */
const pair =
  (op: string): Make =>
  (n, x) => {
    const other = n.add('QUANTIZE', [x], n.value(n.shape(x)));
    const out = n.value(n.shape(x), op === 'MUL' ? scaleOf(n.r, 0.2, 3) : scaleOf(n.r, 0.05, 0.6));
    const reads = n.r.chance(0.5) ? [x, other] : [other, x];
    return n.add(op, reads, out, [[0, 'int8', activationOf(n)]]);
  };

/** With a constant: one number, or one a channel. */
const withConstant =
  (op: string): Make =>
  (n, x) => {
    const count = n.r.chance(0.5) ? 1 : n.shape(x).at(-1)!;
    const { kind } = n;
    const data = int8s(n.r, count).map((q) => (kind === 'int8' ? q : q & 0x7f));
    const scale = scaleOf(n.r, 0.01, 0.1);
    const k = n.constant({ name: `k${n.tensors.length}`, kind, shape: [count], scale, zero: n.zero(), data });
    const reads = n.r.chance(0.5) ? [x, k] : [k, x];
    return n.add(op, reads, n.value(n.shape(x), scaleOf(n.r, 0.05, 0.6)), [[0, 'int8', activationOf(n)]]);
  };

const reduced =
  (op: string): Make =>
  (n, x) => {
    if (!isImage(n, x)) return undefined;
    const channels = n.shape(x)[3]!;
    const out = op === 'MEAN' ? n.value([1, channels]) : n.like(x, [1, channels]);
    return n.add(op, [x, n.int32s([1, 2])], out, [[0, 'int8', 0]]);
  };

const padded: Make = (n, x) => {
  if (!isImage(n, x)) return undefined;
  const [, height, width, channels] = n.shape(x) as [number, number, number, number];
  const [a, b, d, e] = [n.r.int(0, 2), n.r.int(0, 2), n.r.int(0, 2), n.r.int(0, 2)];
  const out = n.like(x, [1, height + a + b, width + d + e, channels]);
  return n.add('PAD', [x, n.int32s([0, 0, a, b, d, e, 0, 0], [4, 2])], out);
};

const concatenated: Make = (n, x) => {
  const shape = n.shape(x);
  const axis = n.r.int(1, shape.length - 1);
  const other = n.add('QUANTIZE', [x], n.like(x, shape));
  const joined = shape.map((size, i) => (i === axis ? 2 * size : size));
  return n.add('CONCATENATION', [x, other], n.like(x, joined), [
    [0, 'int32', axis],
    [1, 'int8', 0],
  ]);
};

const transposed: Make = (n, x) => {
  if (!isImage(n, x)) return undefined;
  const perm = [
    0,
    ...n.r.pick([
      [1, 3, 2],
      [2, 1, 3],
      [2, 3, 1],
      [3, 1, 2],
    ] as const),
  ];
  const shape = n.shape(x);
  const out = n.like(
    x,
    perm.map((axis) => shape[axis]!),
  );
  return n.add('TRANSPOSE', [x, n.int32s(perm)], out);
};

const flattened: Make = (n, x) => {
  const count = n.shape(x).reduce((a, b) => a * b, 1);
  return count > 400 ? undefined : n.add('RESHAPE', [x, n.int32s([-1, count])], n.like(x, [1, count]));
};

const requantised: Make = (n, x) => n.add('QUANTIZE', [x], n.value(n.shape(x)));

const MAKERS: readonly Make[] = [
  conv,
  conv,
  depthwise,
  pool('AVERAGE_POOL_2D'),
  pool('MAX_POOL_2D'),
  fullyConnected,
  fullyConnected,
  pair('ADD'),
  pair('SUB'),
  pair('MUL'),
  withConstant('ADD'),
  withConstant('SUB'),
  withConstant('MUL'),
  reduced('MEAN'),
  reduced('REDUCE_MAX'),
  padded,
  concatenated,
  transposed,
  flattened,
  requantised,
];

function network(seed: number): TfliteSpec {
  const n = new Net(random(seed));
  let x = n.value(n.r.chance(0.8) ? [1, n.r.int(3, 7), n.r.int(3, 7), n.r.int(1, 4)] : [1, n.r.int(2, 30)]);
  const steps = n.r.int(2, 7);
  for (let made = 0; made < steps; ) {
    const next = n.r.pick(MAKERS)(n, x);
    if (next === undefined) continue;
    x = next;
    made++;
  }
  return { tensors: n.tensors, operators: n.operators, inputs: [0], outputs: [x] };
}

const [folder, count = '10', first = '1'] = process.argv.slice(2);
if (folder === undefined) throw new Error('which folder?');
mkdirSync(folder, { recursive: true });
const counts: Record<string, number> = {};
const say = (outcome: string, text = '') => {
  counts[outcome] = (counts[outcome] ?? 0) + 1;
  if (outcome !== 'equal') console.log(`${outcome} ${text}`);
};
const jobs: { name: string; got: Uint8Array; target: string; warned: string }[] = [];
const argv: string[] = [];
for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
  const spec = network(seed);
  const bytes = writeTflite(spec);
  const [file, source] = [join(folder, `${seed}.tflite`), join(folder, `${seed}.x.bin`)];
  const rows = randomRows(
    random(seed),
    ROWS,
    spec.tensors[0]!.shape.reduce((a, b) => a * b, 1),
  );
  writeFileSync(file, bytes);
  writeFileSync(source, rows);
  for (const rounding of ['double', 'single'] satisfies TfliteRounding[]) {
    const name = `${seed} ${rounding}: ${spec.operators.map(({ op }) => op).join(' ')}`;
    try {
      const { model, diagnostics } = importTflite(bytes, file, { tfliteRounding: rounding });
      const warned = diagnostics.filter(({ severity }) => severity === 'warning').map(({ code }) => code);
      const target = join(folder, `${seed}.${rounding}.y.bin`);
      jobs.push({ name, got: interpretRows(model, rows), target, warned: warned.join(' ') });
      argv.push(file, source, target, rounding);
    } catch (error) {
      const told = error instanceof DiagnosticError;
      const text = told
        ? error.diagnostics.map(({ message }) => message).join(' | ')
        : (error as Error).stack;
      say(told ? 'refused' : 'thrown', `${name}: ${text}`);
    }
  }
}
execFileSync('python3', [fileURLToPath(new URL('../bench/tflite_reference.py', import.meta.url)), ...argv]);
for (const { name, got, target, warned } of jobs) {
  const wanted = readFileSync(target);
  const off = got.filter((q, i) => q !== wanted[i]).length;
  if (off === 0 && got.length === wanted.length) say('equal');
  else say(warned === '' ? 'silent' : 'warned', `${name}: ${off} of ${wanted.length} differ ${warned}`);
}
console.log(counts);
process.exitCode = counts.silent !== undefined || counts.thrown !== undefined ? 1 : 0;
