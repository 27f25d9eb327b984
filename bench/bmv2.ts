/**
 * CPU time a packet of simple_switch_grpc: the network in lanes, and with one multiply-add a weight, each beside the
 * same program passing the packet on untouched. `npx tsx bench/bmv2.ts [--json] [--rounds N] [--packets N]`. All
 * switches run at the same time and are measured in turn, so that a change of the machine's pace meets all of them.
 */
import { parseArgs } from 'node:util';
import type { P4Plan } from '../src/backends/p4/plan.ts';
import { planP4OrRefuse, requestFrame } from '../src/engines/bmv2.ts';
import { type Bmv2Session, openBmv2 } from '../src/engines/bmv2-session.ts';
import { findTool, P4C, SWITCH } from '../src/engines/bmv2-tools.ts';
import { cpuOfPackets, openEmpty } from './bmv2-cpu.ts';
import { type BenchModel, benchModels } from './bmv2-models.ts';

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '9' },
    packets: { type: 'string', default: '2000' },
  },
});

const missing = [P4C, SWITCH].filter((tool) => findTool(tool) === undefined);
if (missing.length > 0) {
  process.stderr.write(`BMv2 is not measured: ${missing.join(' and ')} not on the PATH\n`);
  process.exit(0);
}

interface Case {
  readonly name: string;
  readonly lanes: 'on' | 'off';
  readonly session: Bmv2Session;
  readonly computed: readonly Uint8Array[];
  readonly passed: readonly Uint8Array[];
  readonly computedUs: number[];
  readonly passedUs: number[];
}

/** A version that no switch holds. */
const OTHER_VERSION = 77;

/** A convolution without lanes is tens of thousands of operations: p4c would need minutes for it. */
const LANES_ONLY = 'digits-cnn';

async function openCase({ model, rows }: BenchModel, lanes: 'on' | 'off'): Promise<Case> {
  const plan = planP4OrRefuse(model, { lanes });
  const other: P4Plan = { ...plan, options: { ...plan.options, modelVersion: OTHER_VERSION } };
  const count = rows.length / plan.inputs;
  const frames = (p: P4Plan) =>
    Array.from({ length: count }, (_, i) =>
      requestFrame(p, rows.subarray(i * p.inputs, (i + 1) * p.inputs), i),
    );
  process.stderr.write(`${model.name}, lanes ${lanes}: compiling\n`);
  const session = await openBmv2(plan);
  return {
    name: model.name,
    lanes,
    session,
    computed: frames(plan),
    passed: frames(other),
    computedUs: [],
    passedUs: [],
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

const packets = Number(args.packets);
const empty = await openEmpty();
const emptyUs: number[] = [];
const cases: Case[] = [];
try {
  for (const entry of await benchModels())
    for (const lanes of ['on', 'off'] as const)
      if (lanes === 'on' || entry.model.name !== LANES_ONLY) cases.push(await openCase(entry, lanes));
  // The first packets fill caches and start threads.
  await cpuOfPackets(empty, cases[0]!.passed, packets);
  for (const c of cases) await cpuOfPackets(c.session, c.computed, packets);
  for (let round = 0; round < Number(args.rounds); round++) {
    emptyUs.push(await cpuOfPackets(empty, cases[0]!.passed, packets));
    for (const c of cases) {
      c.passedUs.push(await cpuOfPackets(c.session, c.passed, packets));
      c.computedUs.push(await cpuOfPackets(c.session, c.computed, packets));
    }
    process.stderr.write(`round ${round + 1} of ${args.rounds}\n`);
  }
} finally {
  await Promise.all([empty, ...cases.map((c) => c.session)].map((session) => session.close()));
}

const round = (us: number) => Math.round(us * 10) / 10;
const results = cases.map((c) => {
  const [passedUs, computedUs] = [median(c.passedUs), median(c.computedUs)];
  return {
    model: c.name,
    lanes: c.lanes,
    passedUs: round(passedUs),
    computedUs: round(computedUs),
    netUs: round(computedUs - passedUs),
  };
});
const ratios = Object.fromEntries(
  results
    .filter((r) => r.lanes === 'off')
    .map((off) => {
      const on = results.find((r) => r.model === off.model && r.lanes === 'on')!;
      return [off.model, Math.round((on.netUs / off.netUs) * 1000) / 1000];
    }),
);
if (args.json)
  process.stdout.write(`${JSON.stringify({ emptyUs: round(median(emptyUs)), results, ratios })}\n`);
else {
  process.stdout.write(`CPU us a packet, an empty program ${round(median(emptyUs))}\n`);
  console.table(results);
  for (const [model, ratio] of Object.entries(ratios))
    process.stdout.write(`${model}: lanes on / off ${ratio}\n`);
}
