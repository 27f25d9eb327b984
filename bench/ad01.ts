/**
 * MLPerf Tiny's anomaly detection network (264 k weights) in one XDP program, beside other ways to compute it:
 * `npx tsx bench/ad01.ts [FOLDER] [--rounds N]`. Wants root, two processors and an otherwise idle machine. Ends with 1 where
 * an integer or a ratio is not what it should be.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { emitXdp } from '../src/backends/xdp/emit.ts';
import { attachXdp } from '../src/bpf/index.ts';
import { processIo, progress, table } from '../src/cli/io.ts';
import { attachPass, sendRows } from '../src/demo/demo.ts';
import { type Cable, layCable } from '../src/demo/network.ts';
import { importModel } from '../src/import/index.ts';
import { bench, median } from '../src/runtime/bench.ts';
import { XdpDevice } from '../src/runtime/xdp/device.ts';
import { buildXdp, createXdpEngine, loadXdp, planOrRefuse } from '../src/runtime/xdp/engine.ts';
import { temporaryFolder } from '../src/temporary.ts';
import { denseModelToOnnx } from './ad01-onnx.ts';

const INPUTS = 640;
const OUTPUTS = 640;
/** Largest ratios of packed lanes to each form, and other limits, that are good enough. */
const targets = { unpacked: 0.4, scalar: 0.35, bound: 1.3, verified: 150_000, loadSeconds: 2 };
/** Times that the 64 rows are sent over the cable. */
const PASSES = 20;

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const io = processIo();
const roundsAt = process.argv.indexOf('--rounds');
const rounds = roundsAt < 0 ? 11 : Number(process.argv[roundsAt + 1]);
const given = process.argv[2];
const folder =
  given === undefined || given.startsWith('--') ? here('../../shared/models/mlperf-tiny') : given;
if (!existsSync(join(folder, 'ad01_int8.tflite'))) {
  io.err(`SKIPPED: ${folder}/ad01_int8.tflite is absent; it is MLPerf Tiny's, and not ours to ship\n`);
  process.exit(0);
}
const { model } = await importModel(join(folder, 'ad01_int8.tflite'));
const rowsFile = join(folder, 'ad01.x.bin');
const rows = readFileSync(rowsFile);
const expected = readFileSync(join(folder, 'ad01.expected.bin'));
const plan = planOrRefuse(model, {});
const differing = (actual: Uint8Array) =>
  expected.reduce((count, byte, i) => count + (byte === actual[i] ? 0 : 1), 0);

/** Rows through the kernel's test run, and how long the verifier takes. */
async function checkKernel() {
  const engine = await createXdpEngine(model, {});
  const mismatches = differing(await engine.run(rows));
  await engine.close();
  using temporary = temporaryFolder();
  const object = await buildXdp(emitXdp(plan), temporary.path);
  const started = performance.now();
  using device = await XdpDevice.load(object);
  const loadSeconds = (performance.now() - started) / 1000;
  return { mismatches, loadSeconds, verified: device.program.verifiedInstructions ?? 0 };
}

/** ONNX Runtime alone: ns of a run on one thread, and elements that differ from ours. */
async function onnxRuntime(path: string) {
  const session = await InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const [name] = session.outputNames as [string];
  const inputs = Array.from({ length: rows.length / INPUTS }, (_, row) => {
    const data = new Int8Array(rows.subarray(row * INPUTS, (row + 1) * INPUTS));
    return new Tensor('int8', data, [1, INPUTS]);
  });
  const out = new Uint8Array(expected.length);
  const times: number[] = [];
  for (let pass = 0; pass < 40; pass++)
    for (const [row, x] of inputs.entries()) {
      const started = process.hrtime.bigint();
      const result = await session.run({ x });
      times.push(Number(process.hrtime.bigint() - started));
      out.set(new Uint8Array(result[name]!.data as Int8Array), row * OUTPUTS);
    }
  await session.release();
  return { ns: median(times), differing: differing(out) };
}

/** Each of the cable's ends has a processor of its own. */
const onProcessor = (processor: number) => ['taskset', '-c', `${processor}`];

/** Sends the rows, `window` at a time; microseconds a packet from the first request to the last answer. */
async function send(cable: Cable, window: number) {
  const through = onProcessor(0);
  const { answers, report } = await sendRows(cable, plan, { rowsFile, passes: PASSES, window, through });
  if (report.answered < report.sent) io.err(`${report.sent - report.answered} packets were lost\n`);
  const us = (report.seconds / report.answered) * 1e6;
  return { us, differing: differing(answers) };
}

interface EndToEnd {
  readonly one: number;
  readonly many: number;
  readonly differing: number;
}

async function measure(cable: Cable): Promise<EndToEnd> {
  await send(cable, 1);
  const one = await send(cable, 1);
  const many = await send(cable, 32);
  return { one: one.us, many: many.us, differing: Math.max(one.differing, many.differing) };
}

/** The program on the device's end of a veth pair. Its peer needs a program too, else nothing comes back. */
async function overXdp(): Promise<EndToEnd> {
  using cable = layCable();
  using device = await loadXdp(plan);
  using _attached = attachXdp(device.program, {
    interface: cable.device.device,
    netns: cable.device.namespace,
    mode: 'native',
  });
  using _receiver = await attachPass(cable);
  return await measure(cable);
}

/** ONNX Runtime behind a UDP socket on the same end of the same kind of cable. */
async function overSocket(path: string): Promise<EndToEnd> {
  using cable = layCable();
  const command = [
    ...['netns', 'exec', cable.device.namespace, ...onProcessor(1)],
    ...[process.execPath, ...process.execArgv, here('./ad01-worker.ts'), path, `${plan.options.port}`],
  ];
  const worker = spawn('ip', command, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(worker.stdout, 'data');
    return await measure(cable);
  } finally {
    worker.kill();
  }
}

const kernel = await checkKernel();
using temporary = temporaryFolder();
const onnx = join(temporary.path, 'ad01.onnx');
writeFileSync(onnx, denseModelToOnnx(model));
const ort = await onnxRuntime(onnx);
const bar = progress(io, 'rounds', rounds);
const layers = await bench(model, rows, {}, rounds, bar.update);
bar.end();
const xdp = await overXdp();
const socket = await overSocket(onnx);

const us = (ns: number) => (ns / 1000).toFixed(1);
const against = (label: string, ns: number, most?: number) => {
  const ratio = layers.packedNs / ns;
  const reached = most === undefined ? '' : ratio <= most ? 'reached' : 'missed';
  return [label, us(ns), ratio.toFixed(2), most === undefined ? '' : `${most}`, reached];
};
const limit = (label: string, value: number, most: number, digits = 0) => [
  label,
  value.toFixed(digits),
  '',
  `${most}`,
  value <= most ? 'reached' : 'missed',
];
const lines = [
  ['layers alone', 'us', 'packed / form', 'at most', ''],
  ['packed lanes, XDP', us(layers.packedNs), '', '', ''],
  against('--lanes off, XDP', layers.unpackedNs, targets.unpacked),
  against('native C, scalar', layers.scalarNs, targets.scalar),
  against('bound (multiplies)', layers.boundNs, targets.bound),
  against('native C, AVX', layers.simdNs),
  against('ONNX Runtime, one thread', ort.ns),
  limit('mismatches of 40,960', kernel.mismatches, 0),
  limit('verified instructions', kernel.verified, targets.verified),
  limit('seconds to load', kernel.loadSeconds, targets.loadSeconds, 2),
];
io.out(table(lines));
const row = (label: string, e: EndToEnd) => [label, e.one.toFixed(1), e.many.toFixed(1), e.differing];
io.out(
  `\n${table([
    ['packet out to answer in, over veth', 'us, one at a time', 'us, 32 under way', 'elements that differ'],
    row('XDP', xdp),
    row('ONNX Runtime behind a UDP socket', socket),
    ['XDP / ONNX Runtime', (xdp.one / socket.one).toFixed(2), (xdp.many / socket.many).toFixed(2), ''],
  ])}`,
);
if (lines.some((line) => line.includes('missed')) || xdp.differing > 0) process.exitCode = 1;
