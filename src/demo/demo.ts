import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { XdpPlan } from '../backends/xdp/plan.ts';
import { attachXdp, openObject } from '../bpf/index.ts';
import { wireShape } from '../ends/edge/index.ts';
import { importModel } from '../import/index.ts';
import { decodeElements, elementCount } from '../model/tensor.ts';
import { EBPF_DIR } from '../paths.ts';
import { interpretRows } from '../reference/interpreter.ts';
import { emptyRequest, loadXdp, planOrRefuse } from '../runtime/xdp/engine.ts';
import { temporaryFolder } from '../temporary.ts';
import { compileBpf } from '../toolchain/clang.ts';
import { type Cable, layCable } from './network.ts';
import type { SenderReport, SenderTask } from './sender.ts';

/** What the demo measured; shares and accuracy from 0 to 1. */
export interface DemoResult {
  readonly model: string;
  readonly rows: number;
  readonly answered: number;
  readonly accuracy: number;
  /** Share of output elements that equal the reference interpreter's, and the recorded ones of ONNX Runtime. */
  readonly agreesWithReference: number;
  readonly agreesWithOnnxRuntime: number;
  readonly packetsPerSecond: number;
  /** Of the program in the kernel, packet in to packet out. */
  readonly nsPerInference: number;
}

/** Requests of the throughput run. */
const THROUGHPUT_PACKETS = 40_000;

/**
 * One model over a real cable: two namespaces, the program on the device's interface, the rows as UDP packets, the answers
 * back from the kernel.
 * @param examples folder with `NAME.onnx`, `.x.bin`, `.y.bin`, `.ort.bin`
 */
export async function demoModel(
  examples: string,
  name: string,
  onStep: (text: string) => void,
): Promise<DemoResult> {
  const file = (ending: string) => join(examples, `${name}${ending}`);
  const { model } = await importModel(file('.onnx'));
  onStep('compiling and loading');
  const plan = planOrRefuse(model, {});
  using device = await loadXdp(plan);
  const { verifiedInstructions } = device.program;
  onStep(`loaded: the verifier walked ${verifiedInstructions} instructions`);

  using cable = layCable();
  using _attached = attachXdp(device.program, {
    interface: cable.device.device,
    netns: cable.device.namespace,
    mode: 'native',
  });
  using _receiver = await attachPass(cable);
  onStep('sending rows as UDP packets');
  const sent = { rowsFile: file('.x.bin'), window: 64 };
  const rows = readFileSync(sent.rowsFile);
  const { answers, report } = await sendRows(cable, plan, { ...sent, passes: 1 });
  const count = rows.length / elementCount(plan.input.shape);
  onStep(`${report.answered} of ${count} answers; measuring throughput`);
  const throughput = await sendRows(cable, plan, {
    ...sent,
    passes: Math.ceil(THROUGHPUT_PACKETS / count),
  });

  const outputs = elementCount(plan.output.shape);
  return {
    model: name,
    rows: count,
    answered: report.answered,
    accuracy: accuracy(decodeElements(plan.output.element, answers), readFileSync(file('.y.bin')), outputs),
    agreesWithReference: agreement(answers, interpretRows(model, rows)),
    agreesWithOnnxRuntime: agreement(answers, readFileSync(file('.ort.bin'))),
    packetsPerSecond: throughput.report.answered / throughput.report.seconds,
    nsPerInference: await kernelTime(plan),
  };
}

/** ns of the layers alone, as `bench` times them. */
async function kernelTime(plan: XdpPlan): Promise<number> {
  using layers = await loadXdp(plan, ['-DINTRANSIT_BENCH']);
  return layers.program.testRun({ packet: emptyRequest(plan), repeat: 200_000 }).durationNs;
}

/** A veth hands on what a program of its peer sends back only if it has a program itself; this one lets all pass. */
export async function attachPass(cable: Cable): Promise<Disposable> {
  using folder = temporaryFolder();
  const object = join(folder.path, 'pass.o');
  await compileBpf(join(EBPF_DIR, 'pass.c'), object);
  const pass = await openObject(object);
  const link = attachXdp(pass.program('pass'), {
    interface: cable.edge.device,
    netns: cable.edge.namespace,
    mode: 'native',
  });
  return {
    [Symbol.dispose]() {
      link.close();
      pass.close();
    },
  };
}

/**
 * Sends the rows of a file from the edge of the cable, in a process of its own.
 * @param o.through words before its command, which `ip netns exec` begins
 * @throws Error where it fails
 */
export async function sendRows(
  cable: Cable,
  plan: XdpPlan,
  o: Pick<SenderTask, 'rowsFile' | 'passes' | 'window'> & { readonly through?: readonly string[] },
) {
  const { through = [], ...sent } = o;
  using folder = temporaryFolder();
  const answersFile = join(folder.path, 'answers.bin');
  const task: SenderTask = {
    ...sent,
    answersFile,
    shape: wireShape(plan.model),
    modelId: plan.options.modelId,
    modelVersion: plan.options.modelVersion,
    address: cable.device.ip,
    port: plan.options.port,
  };
  // The same file, whether it runs from its source or compiled.
  const sender = fileURLToPath(new URL(import.meta.url.replace(/demo(\.\w+)$/, 'sender$1')));
  const command = [
    'netns',
    'exec',
    cable.edge.namespace,
    ...through,
    process.execPath,
    ...process.execArgv,
    sender,
    JSON.stringify(task),
  ];
  const { stdout } = await promisify(execFile)('ip', command);
  return { answers: readFileSync(answersFile), report: JSON.parse(stdout) as SenderReport };
}

function agreement(a: Uint8Array, b: Uint8Array): number {
  let equal = 0;
  for (let i = 0; i < a.length; i++) if (a[i] === b[i]) equal++;
  return equal / b.length;
}

/** Share of rows whose largest output is the true class. */
function accuracy(outputs: Int32Array, classes: Uint8Array, width: number): number {
  let right = 0;
  for (let row = 0; row < classes.length; row++) {
    const logits = outputs.subarray(row * width, (row + 1) * width);
    if (logits.indexOf(logits.reduce((a, b) => Math.max(a, b))) === classes[row]) right++;
  }
  return right / classes.length;
}
