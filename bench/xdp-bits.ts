/**
 * Dense layers that count bits against the same layers in lanes, in the kernel: `npx tsx bench/xdp-bits.ts [rounds]`. Wants root. All
 * forms of a shape are timed in turn; what is told is the time of the layer alone, less what makes its inputs.
 */
import { planXdp, type XdpOptions } from '../src/backends/xdp/plan.ts';
import { processIo, table } from '../src/cli/io.ts';
import type { Model } from '../src/model/model.ts';
import { bitsCost } from '../src/passes/bits.ts';
import { lanesCost } from '../src/passes/lanes.ts';
import { median } from '../src/runtime/bench.ts';
import { emptyRequest, loadXdp } from '../src/runtime/xdp/engine.ts';
import { modelOf } from '../test/support/models.ts';
import { random } from '../test/support/random.ts';

interface Shape {
  readonly inputs: number;
  readonly outputs: number;
  readonly weights: 'binary' | 'ternary';
  /** Values of an input. */
  readonly levels: number;
  /** Whether outputs have two values. */
  readonly isStep: boolean;
}

const shape = (
  inputs: number,
  outputs: number,
  weights: Shape['weights'],
  levels: number,
  isStep: boolean,
): Shape => ({
  inputs,
  outputs,
  weights,
  levels,
  isStep,
});

const shapes: readonly Shape[] = [
  shape(32, 32, 'binary', 2, true),
  shape(64, 10, 'binary', 2, false),
  shape(64, 64, 'binary', 2, true),
  shape(256, 64, 'binary', 2, true),
  shape(256, 64, 'binary', 2, false),
  shape(256, 64, 'ternary', 2, true),
  shape(128, 64, 'binary', 4, true),
  shape(128, 64, 'binary', 4, false),
  shape(128, 64, 'binary', 16, true),
  shape(1024, 256, 'binary', 2, true),
];

const s8 = { element: 'int8', scale: 1, zeroPoint: 0 } as const;

function modelFor({ inputs, outputs, weights, levels, isStep }: Shape): Model {
  const r = random(inputs + outputs);
  const kinds = weights === 'binary' ? [-1, 1] : [-1, 0, 1];
  const linear = {
    kind: 'dense' as const,
    weights: Array.from({ length: inputs * outputs }, () => r.pick(kinds)),
    output: s8,
  };
  const steps = (of: number) => new Array<number>(outputs).fill(of);
  return modelOf({ ...s8, shape: [inputs] }, [
    { kind: 'lut', table: Array.from({ length: 256 }, () => r.int(0, levels - 1)), output: s8 },
    isStep
      ? { ...linear, requantiser: { multiplier: steps(1), offset: steps(0), shift: 0, min: 0, max: 1 } }
      : { ...linear, weightScale: 0.237 },
  ]);
}

/** Medians of the forms, by turns. */
async function time(of: Shape, rounds: number) {
  const model = modelFor(of);
  const plans = [{ bits: 'always' }, { bits: 'off' }, { to: 1 }].map(
    (options) => planXdp(model, { mtu: 9000, ...options } as XdpOptions).plan!,
  );
  const request = Uint8Array.from(emptyRequest(plans[0]!));
  const row = random(3);
  for (let i = request.length - of.inputs; i < request.length; i++) request[i] = row.int(0, 255);
  const devices = await Promise.all(plans.map((plan) => loadXdp(plan, ['-DINTRANSIT_BENCH'])));
  const samples: number[][] = devices.map(() => []);
  try {
    for (let round = 0; round < rounds; round++)
      for (const [form, { program }] of devices.entries())
        samples[form]!.push(program.testRun({ packet: request, repeat: 5000 }).durationNs);
  } finally {
    for (const device of devices) device[Symbol.dispose]();
  }
  const [bits, lanes, inputs] = samples.map(median) as [number, number, number];
  const [counted, packed] = plans.map(({ layers }) => layers[1]!);
  if (counted?.kind !== 'matrix' || packed?.kind !== 'matrix') throw new Error('no matrix');
  const foretold =
    bitsCost(counted.bits!, of.inputs, of.outputs) / lanesCost(packed.lanes!, of.inputs, of.outputs);
  return { bits: bits - inputs, lanes: lanes - inputs, foretold };
}

const rounds = Number(process.argv[2] ?? 21);
const rows: (string | number)[][] = [
  ['inputs', 'outputs', 'weights', 'levels', 'results', 'bits ns', 'lanes ns', 'ratio', 'foretold'],
];
for (const of of shapes) {
  const { bits, lanes, foretold } = await time(of, rounds);
  rows.push([
    ...[of.inputs, of.outputs, of.weights, of.levels, of.isStep ? 'two values' : '8 bits'],
    ...[bits.toFixed(0), lanes.toFixed(0), (bits / lanes).toFixed(2), foretold.toFixed(2)],
  ]);
}
processIo().out(table(rows));
