/**
 * Flow mode in the kernel beside user space doing the same: the program that classifies, compiled as it is for the processor (clang
 * -O3, static weights), over the packets of an AF_PACKET ring (TPACKET_V3) behind a veth; and that with ONNX Runtime for the network.
 * All is CPU time a packet, so that it holds on a busy machine: of the kernel the program's test run; of user space that of the
 * process, and what the sender spends more while the ring takes its packets. One core, rounds by turns, medians.
 *
 *     npx tsx bench/flow-user.ts [--rounds N]      root, clang
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { TestRunner } from '../src/bpf/index.ts';
import { loadOnnxRuntime } from '../src/ends/worker/onnxruntime.ts';
import { readFeatures } from '../src/features/index.ts';
import { modelOfFeatures } from '../src/flow/model.ts';
import { loadXdpFlow } from '../src/flow/xdp.ts';
import { importModel } from '../src/import/index.ts';
import { median } from '../src/runtime/bench.ts';
import { planFlowOrRefuse } from '../src/targets/xdp/flows.ts';
import { temporaryFolder } from '../src/temporary.ts';
import { tcp4 } from '../test/features/packets.ts';
import { buildUserSpace, type Ran, ran } from './flow-user-space.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '7' } } });
const rounds = Number(values.rounds);
const MODEL = 'examples/traffic-mlp.onnx';
const definition = readFeatures('traffic-16');
const model = modelOfFeatures(await importModel(MODEL), definition);
const frame = tcp4({ payload: new Array<number>(60).fill(1) });
const REPEAT = 20_000;

using folder = temporaryFolder();
const kernel = async (flags: readonly string[]): Promise<TestRunner> =>
  (await loadXdpFlow(planFlowOrRefuse(definition, model), { test: false }, flags)).program.createTestRunner(
    frame.length,
  );

const run = (binary: string, what: 'send' | 'receive', port: string, seconds: number): Promise<Ran> =>
  ran(binary, [what, port, String(seconds)]);
const each = ({ packets, cpu }: Ran): number => cpu / packets;

/** What ONNX Runtime needs for a row, so many at a time; ns. */
async function rowNs(rows: number): Promise<() => Promise<number>> {
  const runtime = await loadOnnxRuntime();
  const opened = await runtime.InferenceSession.create(MODEL, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  const [input] = opened.inputNames as [string];
  const data = new Uint8Array(rows * definition.features.length).fill(9);
  const tensor = new runtime.Tensor('uint8', data, [rows, definition.features.length]);
  const RUNS = 300;
  return async () => {
    const before = process.cpuUsage();
    for (let i = 0; i < RUNS; i++) await opened.run({ [input]: tensor });
    const { user: own, system } = process.cpuUsage(before);
    return ((own + system) * 1000) / RUNS / rows;
  };
}

const [here, there] = ['a', 'b'].map((end) => `fu${process.pid}${end}`) as [string, string];
const ip = (...argv: string[]) => execFileSync('ip', argv, { stdio: 'pipe' });
ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there);
try {
  for (const port of [here, there]) {
    writeFileSync(`/proc/sys/net/ipv6/conf/${port}/disable_ipv6`, '1');
    ip('link', 'set', port, 'up');
  }
  const [whole, state] = [
    await kernel([]),
    await kernel(['-DINTRANSIT_FLOW_NO_LAYERS', '-Wno-unused-function']),
  ];
  const native = buildUserSpace(definition, model, folder.path, 'native');
  const features = buildUserSpace(definition, model, folder.path, 'features', ['-DINTRANSIT_FLOW_NO_LAYERS']);
  const [single, many] = [await rowNs(1), await rowNs(64)];
  const samples: Record<string, number[]> = {};
  const keep = (name: string, ns: number) => {
    samples[name] ??= [];
    samples[name].push(ns);
  };
  for (let round = 0; round < rounds; round++) {
    for (const [name, runner] of [
      ['kernel', whole],
      ['kernel, features', state],
    ] as const) {
      const short: number[] = [];
      for (let i = 0; i < 20; i++) {
        runner.run(frame, REPEAT / 20);
        short.push(runner.durationNs);
      }
      keep(name, Math.min(...short));
    }
    keep('sending alone', each(await run(native, 'send', here, 1)));
    for (const [name, binary] of [
      ['native', native],
      ['features', features],
    ] as const) {
      const receiving = run(binary, 'receive', there, 3);
      await setTimeout(500);
      const sending = await run(native, 'send', here, 1);
      const received = await receiving;
      if (received.packets < 1000 || received.classified !== received.packets)
        throw new Error(`${name}: ${JSON.stringify(received)}`);
      keep(`${name}, of the process`, each(received));
      keep(`sending to ${name}`, each(sending));
    }
    keep('ONNX Runtime, one row', await single());
    keep('ONNX Runtime, 64 rows', await many());
  }
  const of = (name: string): number => median(samples[name]!);
  const delivery = Math.max(0, of('sending to native') - of('sending alone'));
  const nativeNs = of('native, of the process') + delivery;
  const featuresNs = of('features, of the process') + delivery;
  const kernelNs = of('kernel');
  const tell = (name: string, ns: number) =>
    console.log(`${ns.toFixed(0).padStart(7)} ns, ${(ns / kernelNs).toFixed(1)} times: ${name}`);
  for (const [name, all] of Object.entries(samples))
    console.log(`${name}: ${median(all).toFixed(0)} ns (least ${Math.min(...all).toFixed(0)})`);
  console.log();
  tell('in the kernel: state, 16 features, traffic-mlp', kernelNs);
  tell('user space: ring, features and network in C', nativeNs);
  tell('user space: the same without what it takes to get packets into the ring', nativeNs - delivery);
  tell('user space: ring, features in C, ONNX Runtime a packet', featuresNs + of('ONNX Runtime, one row'));
  tell('user space: the same, 64 packets at a time', featuresNs + of('ONNX Runtime, 64 rows'));
} finally {
  ip('link', 'del', here);
}
process.exit(0);
