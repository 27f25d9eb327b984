/**
 * CPU time a packet of simple_switch_grpc: the network in lanes, and with one multiply-add a weight, each beyond what the
 * same program takes to pass the packet on untouched; and packets a second without loss, a window of them under way. Says which
 * build of BMv2 it met. `npx tsx bench/bmv2.ts [--json] [--rounds N] [--packets N] [--kinds runtime,static,scalar]`. All switches run at the same time and are measured in turn, so that a change of the machine's pace meets all of them.
 */
import { parseArgs } from 'node:util';
import { median } from '../src/engines/bench.ts';
import { planV1modelOrRefuse, requestFrame } from '../src/engines/bmv2.ts';
import { type Bmv2Session, openBmv2 } from '../src/engines/bmv2-session.ts';
import { findTool, P4C, SWITCH } from '../src/toolchain/p4c.ts';
import { fieldOffset, OUTER_BYTES } from '../src/wire/index.ts';
import { whichBuild } from './bmv2-build.ts';
import { cpuOfPackets, openEmpty, packetsASecond, pin } from './bmv2-cpu.ts';
import { type BenchModel, benchModels } from './bmv2-models.ts';

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '9' },
    packets: { type: 'string', default: '2000' },
    /** Measured too: one multiply-add a weight, and weights as constants. */
    kinds: { type: 'string', default: 'runtime,static,scalar' },
  },
});

const missing = [P4C, SWITCH].filter((tool) => findTool(tool) === undefined);
if (missing.length > 0) {
  process.stderr.write(`BMv2 is not measured: ${missing.join(' and ')} not on the PATH\n`);
  process.exit(0);
}

/** Weights that can be replaced; weights as constants; one multiply-add a weight. */
const programs = {
  runtime: { lanes: 'on', weights: 'runtime' },
  static: { lanes: 'on', weights: 'static' },
  scalar: { lanes: 'off', weights: 'runtime' },
} as const;
type ProgramKind = keyof typeof programs;

interface Case {
  readonly name: string;
  readonly program: ProgramKind;
  readonly session: Bmv2Session;
  readonly frames: Readonly<Record<Kind, readonly Uint8Array[]>>;
  /** CPU us a packet, a sample a round. */
  readonly samples: Readonly<Record<Kind, number[]>>;
  /** Packets a second, likewise. */
  readonly rates: Readonly<Record<Kind, number[]>>;
}

/** Passed on untouched; computed, with and without a UDP checksum (which is one more sum over the answer). */
const kinds = ['passed', 'computed', 'checksummed'] as const;
type Kind = (typeof kinds)[number];

/** A cursor that no switch waits for: ordinary on a path, so that it is counted and nobody is told. */
const OTHER_LAYER = 99;

const CURSOR_AT = OUTER_BYTES + fieldOffset('nextLayer');

/** A convolution without lanes is tens of thousands of operations: p4c would need minutes for it. */
const LANES_ONLY = 'digits-cnn';

async function openCase({ model, rows }: BenchModel, program: ProgramKind): Promise<Case> {
  const plan = planV1modelOrRefuse(model, programs[program]);
  const count = rows.length / plan.inputs;
  const frames = (change: (frame: Uint8Array) => void = () => {}) =>
    Array.from({ length: count }, (_, i) => {
      const frame = requestFrame(plan, rows.subarray(i * plan.inputs, (i + 1) * plan.inputs), i);
      change(frame);
      return frame;
    });
  process.stderr.write(`${model.name}, ${program}: compiling\n`);
  const session = await openBmv2(plan);
  return {
    name: model.name,
    program,
    session,
    frames: {
      passed: frames((f) => f.fill(OTHER_LAYER, CURSOR_AT, CURSOR_AT + 1)),
      computed: frames((f) => f.fill(0, OUTER_BYTES - 2, OUTER_BYTES)),
      checksummed: frames(),
    },
    samples: { passed: [], computed: [], checksummed: [] },
    rates: { passed: [], computed: [], checksummed: [] },
  };
}

const packets = Number(args.packets);
const asked = args.kinds.split(',').filter((kind): kind is ProgramKind => kind in programs);
const build = await whichBuild(packets);
process.stderr.write(`BMv2 ${build.logging ? 'with' : 'without'} logging macros\n`);
const empty = await openEmpty();
const emptyUs: number[] = [];
const cases: Case[] = [];
try {
  for (const entry of await benchModels())
    for (const program of asked)
      if (program !== 'scalar' || entry.model.name !== LANES_ONLY) cases.push(await openCase(entry, program));
  // The first packets fill caches and start threads.
  await cpuOfPackets(empty, cases[0]!.frames.passed, packets);
  for (const c of cases) await cpuOfPackets(c.session, c.frames.computed, packets);
  for (let round = 0; round < Number(args.rounds); round++)
    for (const c of cases)
      for (const kind of kinds) c.rates[kind].push(await packetsASecond(c.session, c.frames[kind], packets));
  for (const session of [empty, ...cases.map((c) => c.session)]) pin(session);
  for (let round = 0; round < Number(args.rounds); round++) {
    emptyUs.push(await cpuOfPackets(empty, cases[0]!.frames.passed, packets));
    for (const c of cases)
      for (const kind of kinds) c.samples[kind].push(await cpuOfPackets(c.session, c.frames[kind], packets));
    process.stderr.write(`round ${round + 1} of ${args.rounds}\n`);
  }
} finally {
  await Promise.all([empty, ...cases.map((c) => c.session)].map((session) => session.close()));
}

const round = (us: number) => Math.round(us * 10) / 10;
/** Median of what a kind costs beyond passing on, round by round: neighbours in time meet the same machine. */
const beyond = (c: Case, kind: Kind) => median(c.samples[kind].map((us, i) => us - c.samples.passed[i]!));

const results = cases.map((c) => ({
  model: c.name,
  lanes: programs[c.program].lanes,
  weights: programs[c.program].weights,
  passedUs: round(median(c.samples.passed)),
  passedAboveEmptyUs: round(median(c.samples.passed.map((us, i) => us - emptyUs[i]!))),
  netUs: round(beyond(c, 'computed')),
  netWithChecksumUs: round(beyond(c, 'checksummed')),
  passedPerSecond: Math.round(median(c.rates.passed)),
  computedPerSecond: Math.round(median(c.rates.checksummed)),
}));
const ratios = Object.fromEntries(
  results
    .filter((r) => r.lanes === 'off')
    .flatMap((off) => {
      const on = results.find((r) => r.model === off.model && r.lanes === 'on' && r.weights === 'runtime');
      return on === undefined ? [] : [[off.model, Math.round((on.netUs / off.netUs) * 1000) / 1000]];
    }),
);
if (args.json)
  process.stdout.write(`${JSON.stringify({ build, emptyUs: round(median(emptyUs)), results, ratios })}\n`);
else {
  process.stdout.write(
    `BMv2 ${build.logging ? 'with' : 'without'} logging macros (an entry of 8 kB: hit ${round(build.hitUs)}, miss ${round(build.missUs)} us)\n`,
  );
  process.stdout.write(`CPU us a packet on one processor, an empty program ${round(median(emptyUs))}\n`);
  console.table(results);
  for (const [model, ratio] of Object.entries(ratios))
    process.stdout.write(`${model}: lanes on / off ${ratio}\n`);
}
