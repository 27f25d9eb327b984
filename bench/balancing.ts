/**
 * What a device pays that spreads jobs over equal workers: a request whose shard says the way, against one that `steer` sends there itself
 * (the baseline), one that nothing steers and a packet of others. On XDP by test runs of one process, on BMv2 by CPU time. With `--before FOLDER`
 * (that has `ebpf` and `p4` of another version) the same of that version, in turn. `--live JOBS_A_SECOND`: jobs through a real device and real
 * workers, of which one is killed and one comes, and one is overloaded; then over two agents and a BMv2 that compute the whole model, one of which is
 * killed and comes back, an agent and the BMv2 in turn.
 *
 *     npm run build && npx tsx bench/balancing.ts [--rounds 15, 0 for none] [--before FOLDER] [--live 2000]
 */
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Entry, insertion } from '../src/backends/common/entries.ts';
import { balance, cross, ports, shards, steer } from '../src/backends/common/table-model.ts';
import { emitSource, PROGRAM_FILE, v1modelP4Info } from '../src/backends/v1model/emit.ts';
import { emitXdp } from '../src/backends/xdp/emit.ts';
import { createTestRunner, openObject } from '../src/bpf/index.ts';
import { nextHop, nextHopKinds, SHARDS, shardKey, steerKey } from '../src/dataplane/abi.ts';
import type { P4Info } from '../src/p4runtime/types.ts';
import { EBPF_DIR } from '../src/paths.ts';
import { median } from '../src/runtime/bench.ts';
import { planV1modelOrRefuse } from '../src/runtime/bmv2/engine.ts';
import { sessionOf } from '../src/runtime/bmv2/session.ts';
import { startSwitch } from '../src/runtime/bmv2/switch.ts';
import { createWorkspace } from '../src/runtime/bmv2/workspace.ts';
import { planOrRefuse } from '../src/runtime/xdp/engine.ts';
import { temporaryFolder } from '../src/temporary.ts';
import { compileBpf } from '../src/toolchain/clang.ts';
import { findTool } from '../src/toolchain/find-tool.ts';
import { compileP4Program, P4C, SWITCH } from '../src/toolchain/p4c.ts';
import { smallModel } from '../test/controller/small-model.ts';
import { BalancedNetwork, THREE_REPLICAS } from '../test/daemon/live/balanced.ts';
import {
  balance as balanceLive,
  replicaDies,
  type Spread,
  shardsLeaveOverloaded,
} from '../test/daemon/live/balancing.ts';
import type { RawJobsReport } from '../test/daemon/live/raw-jobs.ts';
import { requestFrame, withBytes, withField } from '../test/support/frames.ts';
import { cpuOfPackets, packetsASecond, pin } from './bmv2-cpu.ts';

const { values: args } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    before: { type: 'string' },
    live: { type: 'string' },
  },
});
const rounds = Number(args.rounds);
const [REPEAT, PACKETS, SETTLE_MS] = [200_000, 2_000, 3_000];
/** Kernel's number of the interface that test runs come from. */
const LOOPBACK = 1;

const plan = planOrRefuse(smallModel(), { modelId: 1 });
const frame = withField(requestFrame(plan, Uint8Array.of(9, 63, 31, 200)), 'modelId', 9);
/** The small model has two layers: what begins at a third is for others. */
const cases = {
  'of others': withBytes(frame, 36, 1, 2),
  'not steered': withField(frame, 'nextLayer', 5),
  steered: withField(frame, 'nextLayer', 3),
  balanced: withField(frame, 'nextLayer', 4),
} as const;
type Case = keyof typeof cases;
type Measure = (of: Case) => number | Promise<number>;

async function onXdp(ebpf: string, isBefore: boolean): Promise<Measure> {
  using folder = temporaryFolder();
  const [source, object] = [join(folder.path, 'program.c'), join(folder.path, 'program.o')];
  await writeFile(source, emitXdp(plan));
  await compileBpf(source, object, { includeDirs: [ebpf] });
  const loaded = await openObject(object, { name: 'bench', globals: { intransit_agent: 1 } });
  const map = (name: string) => loaded.maps.get(name)!;
  const way = nextHop.encode({ kind: nextHopKinds.cross, port: 2 });
  map('ports').update(LOOPBACK, way);
  map('steer').update(steerKey.encode({ model_id: 9, next_layer: 3 }), way);
  if (!isBefore) {
    const spread = nextHop.encode({ kind: nextHopKinds.balance, group: 7 });
    map('steer').update(steerKey.encode({ model_id: 9, next_layer: 4 }), spread);
    for (let shard = 0; shard < SHARDS; shard++)
      map('shards').update(shardKey.encode({ model_id: 9, group: 7, shard }), way);
  }
  const runner = createTestRunner(loaded.programs.get('intransit_dispatch')!, 2048);
  return (of) => {
    runner.run(cases[of], REPEAT);
    return runner.durationNs;
  };
}

/** What a controller saw before there were shards. */
function withoutShards({ tables = [], actions = [], ...rest }: P4Info): P4Info {
  const isOther = ({ id }: { readonly id?: number | undefined }) => id !== balance.id;
  const left = tables.filter((t) => t.preamble?.id !== shards.id);
  return {
    ...rest,
    tables: left.map((t) => ({ ...t, actionRefs: (t.actionRefs ?? []).filter(isOther) })),
    actions: actions.filter((a) => isOther(a.preamble ?? {})),
  };
}

async function onBmv2(before?: string) {
  const workspace = createWorkspace();
  const made = planV1modelOrRefuse(smallModel(), { modelId: 1 });
  for (const [name, content] of emitSource(made)) {
    const own = before === undefined ? undefined : join(before, name);
    await writeFile(
      join(workspace.directory, name),
      own !== undefined && existsSync(own) ? readFileSync(own) : content,
    );
  }
  const json = join(workspace.directory, 'bench.json');
  await compileP4Program(join(workspace.directory, PROGRAM_FILE), json, PROGRAM_FILE);
  const device = await startSwitch(workspace);
  const info = v1modelP4Info(made);
  const p4info = before === undefined ? info : withoutShards(info);
  await device.client.pipeline.commit({ p4info, deviceConfig: readFileSync(json) });
  const way = { action: cross, parameters: [2] };
  const entries: Entry[] = [
    { table: ports, keys: [1], ...way },
    { table: steer, keys: [9, 3], ...way },
  ];
  if (before === undefined) {
    entries.push({ table: steer, keys: [9, 4], action: balance, parameters: [7] });
    for (let shard = 0; shard < SHARDS; shard++) entries.push({ table: shards, keys: [9, 7, shard], ...way });
  }
  await device.client.write(entries.map(insertion));
  const session = sessionOf(device, workspace);
  // Threads of the server that took the writes end a moment later, and are not to be counted half-way.
  await packetsASecond(session, [cases.steered], PACKETS);
  await sleep(SETTLE_MS);
  pin(session);
  const measure: Measure = (of) => cpuOfPackets(session, [cases[of]], PACKETS);
  return { measure, close: () => session.close() };
}

/** A device of this version or of the one before, for the time of a round. */
type Open = (isBefore: boolean) => Promise<{ readonly measure: Measure; close(): Promise<void> }>;

/** In turn, so that neighbours in time meet the same machine. */
async function compare(title: string, unit: string, open: Open): Promise<void> {
  const found = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++)
    for (const isBefore of args.before === undefined ? [false] : [false, true]) {
      const { measure, close } = await open(isBefore);
      for (const of of Object.keys(cases) as Case[]) {
        if (of === 'balanced' && isBefore) continue;
        const name = isBefore ? `${of}, before` : of;
        found.set(name, [...(found.get(name) ?? []), await measure(of)]);
      }
      await close();
    }
  const base = found.get('steered')!;
  console.log(`${title}, ${unit}: median (least), and times a steered one in the same round`);
  for (const [name, values] of found) {
    const ratio = median(values.map((v, i) => v / base[i]!));
    const [middle, least] = [median(values), Math.min(...values)];
    console.log(`  ${name.padEnd(22)}${middle.toFixed(1)} (${least.toFixed(1)})  ${ratio.toFixed(2)}`);
  }
}

const shown = ({ sent, answered, wrong, lost, retried, seconds }: RawJobsReport): string =>
  `${Math.round(sent / seconds)}/s, ${answered} answered, ${wrong} wrong, ${lost} lost, ${retried} sent again`;

function tellSpread(title: string, { seen, split, percent, told }: Spread): void {
  const each = Object.entries(told).map(([w, share]) => `${w} ${(percent[w] ?? 0).toFixed(1)} (${share})`);
  console.log(
    `  ${title}: ${shown(seen)}; of ${seen.workers.size} jobs ${split} with two; per cent (told): ${each.join(', ')}`,
  );
}

const intransit = [process.execPath, join(import.meta.dirname, '../dist/cli/main.js')];

async function liveReplicas(perSecond: number): Promise<void> {
  using folder = temporaryFolder();
  const options = { kind: 'xdp', folder: folder.path, intransit, weights: [1, 1] } as const;
  const network = new BalancedNetwork({ ...options, replicas: THREE_REPLICAS });
  try {
    await network.begin(2);
    const jobs = await network.jobs(2 * perSecond, perSecond);
    jobs.start();
    console.log('jobs over three devices of weights 1, 2, 1, the second a BMv2, behind an agent');
    for (const name of ['r2', 'r1']) {
      const found = await replicaDies(network, jobs, name, 5, 5_000);
      tellSpread('three', found.before);
      console.log(
        `  ${name} is killed: known after ${found.detectedMs} ms, steered ${found.steeredMs} ms later; meanwhile ${shown(found.died)}`,
      );
      tellSpread('two', found.without);
      console.log(`  it comes back: has jobs after ${found.backMs} ms; meanwhile ${shown(found.came)}`);
      tellSpread('three', found.back);
      console.log(
        `  jobs of others that moved: ${found.others}; with another device than before: ${found.strangers}`,
      );
    }
    console.log(`  the last: ${shown(await jobs.stop())}`);
  } finally {
    await network.close();
  }
}

async function live(kind: 'xdp' | 'v1model', perSecond: number): Promise<void> {
  using folder = temporaryFolder();
  const network = new BalancedNetwork({ kind, folder: folder.path, intransit, weights: [1, 2, 1, 2] });
  try {
    await network.begin(3);
    const jobs = await network.jobs(2 * perSecond, perSecond);
    jobs.start();
    const found = await balanceLive(network, jobs, 5_000);
    console.log(
      `jobs through ${kind}, workers of weights 1, 2, 1; then without the second; then with one of weight 2 more`,
    );
    tellSpread('three', found.first);
    console.log(
      `  one is killed: known after ${found.detectedMs} ms, steered ${found.steeredMs} ms later; meanwhile ${shown(found.killed)}`,
    );
    tellSpread('two', found.without);
    console.log(`  one comes: meanwhile ${shown(found.came)}`);
    tellSpread('three', found.more);
    console.log(`  jobs that moved though their worker neither went nor came: ${found.others.join(', ')}`);
    const overload = await shardsLeaveOverloaded(network, jobs, 'w3', 3);
    console.log(
      `  one is overloaded: without jobs after ${overload.awayMs} ms, all again ${overload.backMs} ms after its end, by ${overload.steps.join(', ')} of its weight, ${overload.falls} falls; meanwhile ${shown(overload.seen)}`,
    );
    console.log(`  the last: ${shown(await jobs.stop())}`);
  } finally {
    await network.close();
  }
}

const { before = '' } = args;
const hasBmv2 = [P4C, SWITCH].every((tool) => findTool(tool) !== undefined);
if (rounds > 0) {
  const xdp = [
    await onXdp(EBPF_DIR, false),
    before === '' ? undefined : await onXdp(join(before, 'ebpf'), true),
  ];
  await compare('XDP', 'ns', async (isBefore) => ({
    measure: xdp[Number(isBefore)]!,
    close: async () => {},
  }));
  if (hasBmv2)
    await compare('BMv2', 'us of CPU', (isBefore) => onBmv2(isBefore ? join(before, 'p4') : undefined));
}
if (args.live !== undefined) await liveReplicas(Number(args.live));
if (args.live !== undefined)
  for (const kind of ['xdp', ...(hasBmv2 ? (['v1model'] as const) : [])] as const)
    await live(kind, Number(args.live));
process.exit();
