/**
 * Whether a switch should count bits: a dense layer of binary weights in lanes, as the compiler foretells it, and a network of that layer
 * behind a small one as measured, against the least that counting takes, on BMv2: `npx tsx bench/bmv2-bits.ts [packets] [rounds]`. Counting
 * is a program by hand: xor and sums of neighbouring fields for all outputs of up to 2,048 bits at once; packing activations into bits and
 * requantising are left out. CPU time of the switch a packet, above one that passes it on.
 */
import { processIo, table } from '../src/cli/io.ts';
import type { JsonLayerInput } from '../src/import/json/schema.ts';
import { median } from '../src/runtime/bench.ts';
import { planV1modelOrRefuse, requestFrame } from '../src/runtime/bmv2/engine.ts';
import { type Bmv2Session, openBmv2 } from '../src/runtime/bmv2/session.ts';
import { modelOf, step } from '../test/support/models.ts';
import { random } from '../test/support/random.ts';
import { cpuOfPackets, openEmpty, openProgram } from './bmv2-cpu.ts';

/** The widest field. */
const FIELD_BITS = 2048;

const hex = (bits: (at: number) => boolean): string => {
  let value = 0n;
  for (let at = 0; at < FIELD_BITS; at++) if (bits(at)) value |= 1n << BigInt(at);
  return `${FIELD_BITS}w0x${value.toString(16)}`;
};

/** Counts of the bits in which the inputs and the weights differ: `inputs` bits of each output side by side. */
function countingProgram(inputs: number, outputs: number): string {
  const perField = Math.floor(FIELD_BITS / inputs);
  const r = random(inputs);
  const lines = [
    `bit<${FIELD_BITS}> x = (bit<${FIELD_BITS}>)standard.ingress_global_timestamp * ${hex((at) => at % inputs === 0)};`,
  ];
  for (let field = 0; field * perField < outputs; field++) {
    lines.push(`bit<${FIELD_BITS}> v${field} = x ^ ${hex(() => r.chance(0.5))};`);
    for (let width = 1; width < inputs; width *= 2) {
      const mask = hex((at) => at % (2 * width) < width);
      lines.push(`v${field} = (v${field} & ${mask}) + ((v${field} >> ${width}) & ${mask});`);
    }
    // So that p4c keeps it.
    lines.push(`standard.ingress_global_timestamp = standard.ingress_global_timestamp ^ v${field}[47:0];`);
  }
  return lines.join('\n');
}

const s8 = { element: 'int8', scale: 1, zeroPoint: 0 } as const;

/** Signs of `inputs` sums, and those of a layer of binary weights behind them. */
function signs(inputs: number, outputs: number) {
  const r = random(inputs + outputs);
  const layer = (taps: number, outs: number): JsonLayerInput => ({
    kind: 'dense',
    weights: Array.from({ length: taps * outs }, () => r.pick([-1, 1])),
    output: s8,
    requantiser: step(0, 1, outs),
  });
  return modelOf({ ...s8, shape: [4] }, [layer(4, inputs), layer(inputs, outputs)]);
}

const planOf = (inputs: number, outputs: number) =>
  planV1modelOrRefuse(signs(inputs, outputs), { mtu: 9000 });

type Opened = readonly [session: Bmv2Session, frame: Uint8Array];

async function openModel(inputs: number, outputs: number): Promise<Opened> {
  const plan = planOf(inputs, outputs);
  const frame = requestFrame(plan, Uint8Array.of(1, 2, 3, 4), 0);
  // No checksum is asked for.
  frame.fill(0, 40, 42);
  return [await openBmv2(plan), frame];
}

const [packets = 400, rounds = 9] = process.argv.slice(2).map(Number);

/** CPU us a packet, one switch after the other: not all builds of BMv2 let several run. */
async function time(open: () => Promise<Opened>): Promise<number> {
  const [session, frame] = await open();
  try {
    const samples: number[] = [];
    for (let round = 0; round <= rounds; round++) samples.push(await cpuOfPackets(session, [frame], packets));
    return median(samples.slice(1));
  } finally {
    await session.close();
  }
}

const rows: (string | number)[][] = [
  ['inputs', 'outputs', 'lanes us, foretold', 'whole network us', 'least of counting us', 'counting / lanes'],
];
const frame = requestFrame(planOf(8, 8), Uint8Array.of(1, 2, 3, 4), 0);
const passed = await time(async () => [await openEmpty(), frame]);
for (const [inputs, outputs] of [
  [64, 32],
  [128, 64],
  [256, 64],
] as const) {
  const whole = await time(() => openModel(inputs, outputs));
  const statement = countingProgram(inputs, outputs);
  const counting = await time(async () => [
    await openProgram({ locals: '', statement, p4info: { pkgInfo: { arch: 'v1model' } } }),
    frame,
  ]);
  const lanes = planOf(inputs, outputs).lowered.layouts[1]!.cost / 1000;
  const [network, bits] = [whole - passed, counting - passed];
  rows.push([
    inputs,
    outputs,
    lanes.toFixed(1),
    network.toFixed(1),
    bits.toFixed(1),
    (bits / lanes).toFixed(1),
  ]);
}
processIo().out(table(rows));
