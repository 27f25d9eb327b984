/**
 * What it costs a packet that its device holds 16 models of four shapes rather than one: on a host the dispatcher's part of a
 * request, by test runs of what an agent has put on its interfaces; on a switch CPU time a computed packet, against a switch that
 * holds the model alone. `npx tsx bench/choosing.ts [--rounds N] [--packets N] [--json]`, as root.
 *
 * Both are measured in turn, and differences are taken round by round: neighbours in time meet the same machine.
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ENTRY_PIN } from '../src/agent/data-plane.ts';
import { pinsOf } from '../src/agent/xdp-p4-device.ts';
import { createTestRunner, openPinnedProgram, type TestRunner } from '../src/bpf/index.ts';
import { deploy } from '../src/controller/index.ts';
import type { Model } from '../src/model/model.ts';
import { median } from '../src/runtime/bench.ts';
import { planOrRefuse } from '../src/runtime/xdp/engine.ts';
import { temporaryFolder } from '../src/temporary.ts';
import { findTool } from '../src/toolchain/find-tool.ts';
import { P4C, SWITCH } from '../src/toolchain/p4c.ts';
import { startOn } from '../test/agent/controller.ts';
import { layNetwork } from '../test/agent/network.ts';
import { retrained, smallModel, writeDeployment, writeModel } from '../test/controller/files.ts';
import { type TestSwitch, testSwitch } from '../test/controller/support.ts';
import { requestFrame } from '../test/support/frames.ts';
import { cpuOfPackets, pin } from './bmv2-cpu.ts';

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '15' },
    packets: { type: 'string', default: '2000' },
  },
});
const rounds = Number(args.rounds);
const packets = Number(args.packets);

const SHAPES = 4;
const MODELS = 16;
const REPEAT = 200_000;
/** Least costs that are good enough, ns and us. */
const goals = { xdpNs: 5, bmv2Us: 2 };

interface Entry {
  readonly id: number;
  readonly file: string;
  readonly model: Model;
}

using folder = temporaryFolder();
const entries = Array.from({ length: MODELS }, (_, i): Entry => {
  const model = retrained(smallModel(2 + (i % SHAPES)), 1 + i);
  const file = `m${i}.json`;
  writeModel(folder.path, file, model);
  return { id: i + 1, file, model };
});

async function bring(kind: string, address: string, models: readonly Entry[]): Promise<void> {
  const own = join(folder.path, `${kind}-${models.length}-${models[0]!.id}`);
  mkdirSync(own);
  const device = { name: 'd', kind, address, layers: '..', ports: [{ ingress: 1, egress: 2 }] };
  const listed = models.map(({ file, id }) => ({ file: join('..', file), id }));
  await deploy(writeDeployment(own, { models: listed, devices: [device] }));
}

const frameFor = ({ model, id }: Entry, change: { readonly unsure?: boolean } = {}): Uint8Array =>
  requestFrame(planOrRefuse(model, { modelId: id }), Uint8Array.of(9, 63, 31, 200), {
    modelVersion: 0,
    ...change,
  });

/** Of a request that another node was not sure of: found, handed to its program, and passed on as it came. */
const unsureFrame = (entry: Entry): Uint8Array => frameFor(entry, { unsure: true });

/** The program on an agent's interfaces. */
function entryOf(name: string): TestRunner {
  const pins = pinsOf(name);
  const path = readdirSync(pins)
    .map((generation) => join(pins, generation, ENTRY_PIN))
    .find((one) => existsSync(one));
  if (path === undefined) throw new Error(`${name} runs no program`);
  return createTestRunner(openPinnedProgram(path), 2048);
}

async function onHosts() {
  using one = layNetwork(2);
  using all = layNetwork(2);
  const [few, many] = [await startOn(one), await startOn(all)];
  try {
    await bring('xdp', few.address, entries.slice(0, 1));
    await bring('xdp', many.address, entries);
    const [alone, among] = [entryOf(one.agentName), entryOf(all.agentName)];
    const ns = (runner: TestRunner, frame: Uint8Array): number => {
      runner.run(frame, REPEAT);
      return runner.durationNs;
    };
    const base: number[] = [];
    const more = entries.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      base.push(ns(alone, unsureFrame(entries[0]!)));
      for (const [i, entry] of entries.entries()) more[i]!.push(ns(among, unsureFrame(entry)));
    }
    return { alone: median(base), more: more.map((own) => median(own.map((v, i) => v - base[i]!))) };
  } finally {
    await few.remove();
    await many.remove();
  }
}

async function onSwitches() {
  const switches: TestSwitch[] = [];
  try {
    const opened = async (models: readonly Entry[]) => {
      const own = await testSwitch();
      switches.push(own);
      await bring('v1model', own.address, models);
      return { device: own.device, dataplane: own.dataplane, close: () => own.close() };
    };
    const alone = [];
    for (let shape = 0; shape < SHAPES; shape++) alone.push(await opened([entries[shape]!]));
    const among = await opened(entries);
    for (const session of [...alone, among]) {
      await cpuOfPackets(session, [frameFor(entries[0]!)], packets);
      pin(session);
    }
    const base = alone.map((): number[] => []);
    const one = alone.map((): number[] => []);
    const byTurns = alone.map((): number[] => []);
    for (let round = 0; round < rounds; round++)
      for (const [shape, session] of alone.entries()) {
        const own = entries.filter((_, i) => i % SHAPES === shape).map((e) => frameFor(e));
        const first = own.slice(0, 1);
        base[shape]!.push(await cpuOfPackets(session, first, packets));
        one[shape]!.push(await cpuOfPackets(among, first, packets));
        byTurns[shape]!.push(await cpuOfPackets(among, own, packets));
      }
    const moreOf = (found: readonly number[][]): readonly number[] =>
      found.map((own, shape) => median(own.map((v, i) => v - base[shape]![i]!)));
    return { alone: base.map(median), one: moreOf(one), byTurns: moreOf(byTurns) };
  } finally {
    for (const own of switches) await own.close();
  }
}

const round = (value: number): number => Math.round(value * 10) / 10;
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

const hosts = await onHosts();
const switches = [P4C, SWITCH].every((tool) => findTool(tool) !== undefined) ? await onSwitches() : undefined;
const row = (name: string, alone: number, more: readonly number[], goal: string) =>
  ({ name, alone: round(alone), mean: round(mean(more)), most: round(Math.max(...more)), goal }) as const;
const rows = [
  row('XDP, ns a request', hosts.alone, hosts.more, `${goals.xdpNs} ns`),
  ...(switches === undefined
    ? []
    : [
        row('BMv2, us a request', mean(switches.alone), switches.one, `${goals.bmv2Us} us`),
        // Weights of four models go through the caches in place of one's.
        row('BMv2, four models by turns', mean(switches.alone), switches.byTurns, '-'),
      ]),
];
if (args.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
else {
  process.stdout.write('| | one model | more among 16, mean | most | at most |\n|---|---|---|---|---|\n');
  for (const { name, alone, mean: on, most, goal } of rows)
    process.stdout.write(`| ${name} | ${alone} | ${on} | ${most} | ${goal} |\n`);
  if (switches === undefined)
    process.stderr.write(`BMv2 is not measured: ${P4C} or ${SWITCH} is not on the PATH\n`);
}
