import { execFile, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { emitNative } from '../backends/native/emit.ts';
import { multiplies, type XdpOptions } from '../backends/xdp/plan.ts';
import { refuse, throwErrors } from '../diagnostics/index.ts';
import type { Model } from '../model/model.ts';
import { macs, valueType } from '../model/model.ts';
import { elementCount, tensorBytes } from '../model/tensor.ts';
import { wideRefusals } from '../model/wide-layers.ts';
import { temporaryFolder } from '../temporary.ts';
import type { XdpDevice } from './xdp/device.ts';
import { emptyRequest, loadXdp, planOrRefuse } from './xdp/engine.ts';

/** Nanoseconds an inference of the same layers, medians of interleaved runs; see docs of `bench`. */
export interface BenchResult {
  readonly packedNs: number;
  readonly unpackedNs: number;
  readonly scalarNs: number;
  readonly simdNs: number;
  /** Multiplies of the lanes at one 64-bit multiply a cycle, as calibrated in this run. */
  readonly boundNs: number;
  readonly macs: number;
  /** The whole program, packet in to packet out, less an empty program. */
  readonly packetNs: number;
  readonly verifiedInstructions: number | undefined;
}

/** Plain C of the layers as a program of this host. */
export interface NativeProgram extends Disposable {
  /** Outputs of the rows. */
  run(rows: Uint8Array): Uint8Array;
  /** ns of one inference over the rows in turn, and of one multiply. */
  time(iterations: number, rows: Uint8Array): { readonly inference: number; readonly multiply: number };
}

/** Compiles the layers for this host. @throws DiagnosticError where gcc is missing or refuses */
export async function buildNative(model: Model, flags: readonly string[]): Promise<NativeProgram> {
  const folder = temporaryFolder();
  const source = join(folder.path, 'layers.c');
  const program = join(folder.path, 'layers');
  writeFileSync(source, emitNative(model));
  try {
    await promisify(execFile)('gcc', [...flags, '-o', program, source]);
  } catch (error) {
    folder[Symbol.dispose]();
    const { code, stderr } = error as { code?: string; stderr?: string };
    if (code === 'ENOENT') refuse('missing-tool', { tool: 'gcc', install: 'apt-get install gcc libc6-dev' });
    refuse('tool-failed', { tool: 'gcc', summary: stderr?.split('\n')[0] ?? 'no message' }, {}, stderr);
  }
  const call = (args: string[], rows: Uint8Array) =>
    execFileSync(program, args, { input: rows, maxBuffer: 1 << 28 });
  return {
    run: (rows) => call(['run'], rows),
    time(iterations, rows) {
      const [layers, multiplies] = call(['time', `${iterations}`], rows)
        .toString()
        .split(' ')
        .map(Number) as [number, number];
      return { inference: layers / iterations, multiply: multiplies / (8 * iterations) };
    },
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

/** gcc's flags, and gcc's code: its vectoriser makes more of these loops than clang's. */
const SCALAR_FLAGS = ['-O2', '-fno-tree-vectorize'];
const SIMD_FLAGS = ['-O3', '-march=native'];

/** Most inferences of one sample. */
const ITERATIONS = 50_000;

/** A sample takes some tens of milliseconds: fewer inferences of large models. */
const iterationsFor = (count: number): number =>
  Math.max(500, Math.min(ITERATIONS, Math.round(1.2e8 / Math.max(count, 1))));

/** Most bytes of rows in one packet of the benchmark. */
const MOST_ROW_BYTES = 2048;

/**
 * Rows that the layers alone are timed on in turn, a power of two: where branches depend on the row, one row would be learnt
 * by the processor.
 */
function rowsInTurn(model: Model): number {
  if (model.layers.every(({ kind }) => kind !== 'forest')) return 1;
  return 2 ** Math.floor(Math.log2(Math.max(1, MOST_ROW_BYTES / elementCount(model.input.shape))));
}

/** Does next to nothing: what its program is run for are the multiplies that it times. */
const CLOCK: Model = {
  name: 'clock',
  file: 'clock',
  input: { element: 'uint8', shape: [1], scale: 1, zeroPoint: 0 },
  layers: [
    {
      kind: 'transpose',
      name: 'same',
      inputs: [0],
      axes: [0],
      from: [1],
      output: { element: 'uint8', shape: [1], scale: 1, zeroPoint: 0 },
    },
  ],
};

/**
 * Times all forms in turn, `rounds` times, so that a change of the machine's pace meets all of them alike.
 * @throws DiagnosticError
 */
export async function bench(
  model: Model,
  rows: Uint8Array,
  options: XdpOptions,
  rounds: number,
  onRound: (done: number) => void,
): Promise<BenchResult> {
  throwErrors(wideRefusals(model, 0, model.layers.length, 'the native yardstick of bench'));
  const packed = planOrRefuse(model, { ...options, lanes: 'on' });
  const unpacked = planOrRefuse(model, { ...options, lanes: 'off' });
  using scalar = await buildNative(model, SCALAR_FLAGS);
  using simd = await buildNative(model, SIMD_FLAGS);
  using clock = await buildNative(CLOCK, SCALAR_FLAGS);
  const inTurn = rowsInTurn(model);
  const layersAlone = ['-DINTRANSIT_BENCH', `-DINTRANSIT_BENCH_ROWS=${inTurn}`];
  using packedLayers = await loadXdp(packed, layersAlone);
  using unpackedLayers = await loadXdp(unpacked, layersAlone);
  using program = await loadXdp(packed);

  const inputs = tensorBytes(valueType(model, 0));
  const count = rows.length / inputs;
  const request = emptyRequest(packed);
  const total = model.layers.reduce((sum, layer) => sum + macs(model, layer), 0);
  const iterations = iterationsFor(total);
  const several = new Uint8Array(request.length + (inTurn - 1) * inputs);
  several.set(request);
  const forms = {
    packed: () => timeProgram(packedLayers, several, iterations),
    unpacked: () => timeProgram(unpackedLayers, several, iterations),
    scalar: () => scalar.time(iterations, rows).inference,
    simd: () => simd.time(iterations, rows).inference,
    multiply: () => clock.time(ITERATIONS, Uint8Array.of(1)).multiply,
    packet: () => timePackets(program, request),
    passed: () => timePackets(program, foreign(request)),
  };
  type Form = keyof typeof forms;
  const samples = new Map<Form, number[]>();
  for (let round = 0; round < rounds; round++) {
    const row = (n: number) => rows.subarray((n % count) * inputs, ((n % count) + 1) * inputs);
    request.set(row(round), request.length - inputs);
    for (let r = 0; r < inTurn; r++)
      several.set(row(round * inTurn + r), request.length - inputs + r * inputs);
    for (const [form, time] of Object.entries(forms) as [Form, () => number][])
      samples.set(form, [...(samples.get(form) ?? []), time()]);
    onRound(round + 1);
    await new Promise(setImmediate);
  }
  const ns = (form: Form) => median(samples.get(form)!);
  const lanes = packed.layers.reduce((sum, p) => sum + multiplies(p), 0);
  return {
    packedNs: ns('packed'),
    unpackedNs: ns('unpacked'),
    scalarNs: ns('scalar'),
    simdNs: ns('simd'),
    boundNs: lanes * ns('multiply'),
    macs: total,
    packetNs: ns('packet') - ns('passed'),
    verifiedInstructions: program.program.verifiedInstructions,
  };
}

/** Mean ns of a program that leaves its packet as it was. */
function timeProgram(device: XdpDevice, frame: Uint8Array, repeat: number): number {
  return device.program.testRun({ packet: frame, repeat }).durationNs;
}

/** Median ns of single runs: the program rewrites its packet, so a repeat would see the answer. */
function timePackets(device: XdpDevice, frame: Uint8Array): number {
  const runner = device.program.createTestRunner(frame.length, 2048);
  return median(
    Array.from({ length: 1000 }, () => {
      runner.run(frame);
      return runner.durationNs;
    }),
  );
}

/** The same frame, but no UDP: the program passes it on at once. */
function foreign(frame: Uint8Array): Uint8Array {
  const other = Uint8Array.from(frame);
  other[23] = 6;
  return other;
}

/** Of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
