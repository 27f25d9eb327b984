import { type Diagnostic, diagnostic, refuse } from '../../diagnostics/index.ts';
import type { SourceTensor } from '../../import/index.ts';
import { cutOnnx } from '../../import/onnx/cut.ts';
import { cutReader } from '../../model/cut.ts';
import { type Model, macs, type ValueId, valueType } from '../../model/model.ts';
import { tensorBytes } from '../../model/tensor.ts';
import { eachRow } from '../../reference/each-row.ts';
import { interpret } from '../../reference/interpreter.ts';
import { bytesOf, type OnnxRuntime, OrtSession } from './onnxruntime.ts';

/** What the worker computes with. */
export type WorkerEngine = 'auto' | 'onnxruntime' | 'reference';

/** The graph that a model was imported from. */
export interface OnnxSource {
  readonly bytes: Uint8Array;
  readonly sources: ReadonlyMap<ValueId, SourceTensor>;
}

/** Computes all layers from one cursor on. */
export interface Finisher {
  readonly on: 'onnxruntime' | 'reference' | 'upstream';
  /** `count` rows, one after the other. */
  run(rows: Uint8Array, count: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** What the rest of a model is computed by: `runtime` and `onnx` where ONNX Runtime may do it. */
export interface FinisherOptions {
  readonly model: Model;
  readonly onnx?: OnnxSource | undefined;
  readonly runtime?: OnnxRuntime | undefined;
  readonly on: WorkerEngine;
  /** Warnings and notes. */
  readonly onDiagnostic: (d: Diagnostic) => void;
}

/**
 * Makes the finisher of a cursor. `auto` takes ONNX Runtime where it is there and gives the integers of the reference, which
 * is tried out: its kernels saturate on some processors.
 *
 * @pre the model can be cut at `from`
 * @throws DiagnosticError if ONNX Runtime was asked for and cannot run the model
 */
export async function createFinisher(from: number, o: FinisherOptions): Promise<Finisher> {
  const { model, onnx, runtime } = o;
  const reference = referenceFinisher(model, from);
  if (o.on === 'reference' || onnx === undefined || runtime === undefined) return reference;
  const fallBack = (reason: string): Finisher => {
    o.onDiagnostic(diagnostic('worker-on-reference', { from, reason }, { file: model.file }));
    return reference;
  };
  const span = sessionSpan(model, onnx, from);
  // Nothing but what no graph holds, such as a verdict.
  if (span === undefined) return reference;
  let finisher: Finisher | undefined;
  try {
    finisher = await sessionFinisher(runtime, model, onnx, from, span);
  } catch (error) {
    const summary = (error as Error).message.split('\n')[0]!;
    if (o.on === 'onnxruntime')
      refuse('tool-failed', { tool: 'ONNX Runtime', summary }, { file: model.file });
    return fallBack(`ONNX Runtime refuses the graph: ${summary}`);
  }
  if (finisher === undefined) return fallBack('the graph has no one tensor to begin with there');
  const { mismatches, elements } = await tryOut(finisher, reference, model, from);
  if (mismatches === 0) return finisher;
  if (o.on === 'onnxruntime') {
    o.onDiagnostic(diagnostic('worker-differs', { from, mismatches, elements }, { file: model.file }));
    return finisher;
  }
  await finisher.close();
  return fallBack(`ONNX Runtime gives ${mismatches} of ${elements} elements otherwise on this machine`);
}

function referenceFinisher(model: Model, from: number): Finisher {
  return {
    on: 'reference',
    run: (rows, count) => interpretAll(model, rows, count, from, model.layers.length),
    async close() {},
  };
}

/** Layers `from` to `to` of rows by the interpreter, without keeping others waiting for long. */
export async function interpretAll(
  model: Model,
  rows: Uint8Array,
  count: number,
  from: number,
  to: number,
): Promise<Uint8Array> {
  if (from === to) return rows;
  const shape = { count, inputs: rows.length / count, outputs: tensorBytes(valueType(model, to)) };
  return eachRow(rows, shape, (row) => interpret(model, row, from, to));
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** The longest part of the layers from `from` on that begins and ends at a tensor of the graph. */
function sessionSpan(model: Model, { sources }: OnnxSource, from: number): Span | undefined {
  const held = [...sources.keys()]
    .filter((value) => value >= from && cutReader(model, value) === undefined)
    .sort((a, b) => a - b);
  const [first, last] = [held[0], held.at(-1)];
  return first === undefined || last === undefined || first === last ? undefined : { from: first, to: last };
}

/** Reference up to the span, ONNX Runtime over it, reference for what is behind; mostly it is ONNX Runtime alone. */
async function sessionFinisher(
  runtime: OnnxRuntime,
  model: Model,
  { bytes, sources }: OnnxSource,
  from: number,
  span: Span,
): Promise<Finisher | undefined> {
  const [start, end] = [sources.get(span.from)!, sources.get(span.to)!];
  const cut = cutOnnx(bytes, start, end);
  if (cut === undefined) return undefined;
  const { element, shape } = start.type;
  const input = { name: cut.input, element, shape };
  const session = await OrtSession.open(runtime, { bytes: cut.bytes, input, output: { name: cut.output } });
  return {
    on: 'onnxruntime',
    async run(rows, count) {
      const inner = await interpretAll(model, rows, count, from, span.from);
      const made = bytesOf(await session.run(inner, count));
      return interpretAll(model, made, count, span.to, model.layers.length);
    },
    close: () => session.close(),
  };
}

/** Multiply-accumulates of the reference that a trial may cost: some tenths of a second. */
const TRIAL_MACS = 2e7;

/** Made-up rows through both. */
async function tryOut(finisher: Finisher, reference: Finisher, model: Model, from: number) {
  const width = tensorBytes(valueType(model, from));
  const work = model.layers.slice(from).reduce((sum, layer) => sum + macs(model, layer), 1);
  const count = Math.max(2, Math.min(64, Math.floor(TRIAL_MACS / work)));
  const rows = madeUpRows(width, count);
  const [a, b] = [await finisher.run(rows, count), await reference.run(rows, count)];
  let mismatches = Math.abs(a.length - b.length);
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) mismatches++;
  return { mismatches, elements: b.length };
}

/** Rows of all kinds of bytes, the same ones each time. */
export function madeUpRows(width: number, count: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length: count * width }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}
