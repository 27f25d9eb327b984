/**
 * CPU time a packet of simple_switch_grpc: an empty program; ours passing a packet on untouched, above it; the network in lanes, and
 * with one multiply-add a weight, or in tables, each above what the same program takes to pass on; and packets a second without loss, a window of
 * them under way. Says which build of BMv2 it met, and prints its tables as bench/README.md has them.
 *
 *     npx tsx bench/bmv2.ts [--switches FOLDER,FOLDER] [--kinds runtime,static,scalar,tables] [--models NAME,...] [--rounds N] [--packets N] [--json]
 *
 * `--switches` names folders with a `simple_switch_grpc` each, one build after the other; without it the one on the PATH is met.
 * All switches of a build run at the same time and are measured in turn, so that a change of the machine's pace meets all of them.
 */
import { delimiter } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from '../src/runtime/bench.ts';
import { planV1modelOrRefuse, requestFrame } from '../src/runtime/bmv2/engine.ts';
import { type Bmv2Session, openBmv2 } from '../src/runtime/bmv2/session.ts';
import { findTool } from '../src/toolchain/find-tool.ts';
import { P4C, SWITCH } from '../src/toolchain/p4c.ts';
import { fieldOffset, OUTER_BYTES } from '../src/wire/index.ts';
import { type Bmv2Build, whichBuild } from './bmv2-build.ts';
import { cpuOfPackets, openEmpty, packetsASecond, pin } from './bmv2-cpu.ts';
import { type BenchModel, benchModels } from './bmv2-models.ts';

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '9' },
    packets: { type: 'string', default: '2000' },
    /** Measured too: one multiply-add a weight, and weights as constants. */
    kinds: { type: 'string', default: 'runtime,static,scalar' },
    /** Of those models alone. */
    models: { type: 'string' },
    /** Folders with a switch each. */
    switches: { type: 'string' },
  },
});

/** Weights that can be replaced; weights as constants; one multiply-add a weight; look-ups and adds. */
const programs = {
  runtime: { lanes: 'on', weights: 'runtime' },
  static: { lanes: 'on', weights: 'static' },
  scalar: { lanes: 'off', weights: 'runtime' },
  tables: { lowering: 'tables' },
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

/** A convolution without lanes is tens of thousands of operations, for which p4c would need minutes; tables of one are refused. */
const LANES_ONLY = 'digits-cnn';
const WITHOUT_LANES: readonly ProgramKind[] = ['scalar', 'tables'];

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
const rounds = Number(args.rounds);
const asked = args.kinds.split(',').filter((kind): kind is ProgramKind => kind in programs);

const only = args.models?.split(',');

interface Row {
  readonly model: string;
  readonly program: ProgramKind;
  readonly passedAboveEmptyUs: number;
  readonly netUs: number;
  readonly netWithChecksumUs: number;
  readonly passedPerSecond: number;
  readonly computedPerSecond: number;
}

interface Measured {
  readonly build: Bmv2Build;
  readonly emptyUs: number;
  readonly rows: readonly Row[];
}

/** All programs on the switch that is on the PATH. */
async function measure(): Promise<Measured> {
  const build = await whichBuild(packets);
  process.stderr.write(`BMv2 ${nameOf(build)}\n`);
  const empty = await openEmpty();
  const emptyUs: number[] = [];
  const cases: Case[] = [];
  try {
    for (const entry of (await benchModels()).filter(({ model }) => only?.includes(model.name) ?? true))
      for (const program of asked)
        if (!WITHOUT_LANES.includes(program) || entry.model.name !== LANES_ONLY)
          cases.push(await openCase(entry, program));
    await measureInTurn(empty, emptyUs, cases);
  } finally {
    await Promise.all([empty, ...cases.map((c) => c.session)].map((session) => session.close()));
  }
  return { build, emptyUs: round(median(emptyUs)), rows: cases.map((c) => rowOf(c, emptyUs)) };
}

async function measureInTurn(empty: Bmv2Session, emptyUs: number[], cases: readonly Case[]): Promise<void> {
  // The first packets fill caches and start threads.
  await cpuOfPackets(empty, cases[0]!.frames.passed, packets);
  for (const c of cases) await cpuOfPackets(c.session, c.frames.computed, packets);
  for (let i = 0; i < rounds; i++)
    for (const c of cases)
      for (const kind of kinds) c.rates[kind].push(await packetsASecond(c.session, c.frames[kind], packets));
  for (const session of [empty, ...cases.map((c) => c.session)]) pin(session);
  for (let i = 0; i < rounds; i++) {
    emptyUs.push(await cpuOfPackets(empty, cases[0]!.frames.passed, packets));
    for (const c of cases)
      for (const kind of kinds) c.samples[kind].push(await cpuOfPackets(c.session, c.frames[kind], packets));
    process.stderr.write(`round ${i + 1} of ${rounds}\n`);
  }
}

const round = (us: number) => Math.round(us * 10) / 10;

/** Differences are taken round by round: neighbours in time meet the same machine. */
function rowOf(c: Case, emptyUs: readonly number[]): Row {
  const beyond = (kind: Kind) => round(median(c.samples[kind].map((us, i) => us - c.samples.passed[i]!)));
  return {
    model: c.name,
    program: c.program,
    passedAboveEmptyUs: round(median(c.samples.passed.map((us, i) => us - emptyUs[i]!))),
    netUs: beyond('computed'),
    netWithChecksumUs: beyond('checksummed'),
    passedPerSecond: Math.round(median(c.rates.passed)),
    computedPerSecond: Math.round(median(c.rates.checksummed)),
  };
}

const nameOf = (build: Bmv2Build): string => `${build.logging ? 'with' : 'without'} logging macros`;

/** As bench/README.md has it. */
function printTable({ build, emptyUs, rows }: Measured): void {
  const line = (cells: readonly (string | number)[]) => process.stdout.write(`| ${cells.join(' | ')} |\n`);
  process.stdout.write(
    `\nBMv2 ${nameOf(build)} (an entry of 8 kB: hit ${round(build.hitUs)} us, miss ${round(build.missUs)} us), an empty program ${emptyUs} us:\n\n`,
  );
  line(['model', 'program', 'passing on', 'network', 'with a checksum', 'passed/s', 'computed/s']);
  line(Array.from({ length: 7 }, () => '---'));
  for (const r of rows)
    line([
      r.model,
      r.program,
      r.passedAboveEmptyUs,
      r.netUs,
      r.netWithChecksumUs,
      r.passedPerSecond,
      r.computedPerSecond,
    ]);
}

const path = process.env.PATH ?? '';
const results: Measured[] = [];
for (const folder of args.switches?.split(',') ?? [undefined]) {
  process.env.PATH = folder === undefined ? path : `${folder}${delimiter}${path}`;
  const missing = [P4C, SWITCH].filter((tool) => findTool(tool) === undefined);
  if (missing.length > 0) {
    process.stderr.write(`BMv2 is not measured: ${missing.join(' and ')} not on the PATH\n`);
    process.exit(0);
  }
  const measured = await measure();
  results.push(measured);
  if (!args.json) printTable(measured);
}
if (args.json) process.stdout.write(`${JSON.stringify(results)}\n`);
