import {
  type Diagnostic,
  DiagnosticError,
  diagnostic,
  refuse,
  throwErrors,
} from '../../diagnostics/index.ts';
import { VersionMeasures } from '../../doors/measures.ts';
import { modelDigest } from '../../import/json/digest.ts';
import { layerCountRefusals } from '../../model/layer-count.ts';
import { inputType, type Model, outputType } from '../../model/model.ts';
import { type ElementType, elementCount, tensorBytes } from '../../model/tensor.ts';
import { isVerdict } from '../../model/verdict.ts';
import { fragmentsFor, MAX_FRAGMENTS } from '../../wire/fragments.ts';
import { HEADER_BYTES, MOST_LAYERS } from '../../wire/index.ts';
import { createFinisher, type Finisher, type OnnxSource, type WorkerEngine } from './finisher.ts';
import { type LargeModel, openLargeModel } from './large-model.ts';
import { loadOnnxRuntime, type OnnxRuntime } from './onnxruntime.ts';
import { type HeldInput, heldInputs } from './requests.ts';
import { openUpstream, type Upstream, type UpstreamOptions, upstreamFinisher } from './upstream/upstream.ts';

/** A model as a worker is given it. */
export interface VersionOptions {
  readonly model: Model;
  /** The graph of the model, for ONNX Runtime. */
  readonly onnx?: OnnxSource | undefined;
  /** `auto` if absent. */
  readonly on?: WorkerEngine;
  /** ONNX file of the large model behind an early exit: it answers raw inputs. The model must end in a verdict. */
  readonly large?: string | undefined;
  /** Another server that computes the last layers, or all. */
  readonly upstream?: UpstreamOptions | undefined;
  /** 1 if absent. */
  readonly modelId?: number;
  /** 1 if absent; packets of version 0 are computed by the current one. */
  readonly modelVersion?: number;
  /** By which clients of the Open Inference Protocol know the model; that of its file if absent. */
  readonly servedName?: string | undefined;
}

/** What computes a job: the large model, or the layers of a version from a cursor on. Jobs of one go in one batch. */
export interface Computation {
  readonly of: LoadedVersion;
  readonly from: 'large' | number;
}

/** A version of a model that can compute. */
export class LoadedVersion {
  readonly model: Model;
  /** Tensors of the source that hold input and output, where it has such. */
  readonly tensorNames: { readonly input: string | undefined; readonly output: string | undefined };
  /** By which clients of the Open Inference Protocol know its model. */
  readonly name: string;
  readonly modelId: number;
  readonly version: number;
  readonly digest: string;
  readonly layerCount: number;
  readonly outputElement: ElementType;
  /** By cursor: the tensor that a packet must bring; none where the model cannot be cut. */
  readonly inputs: readonly (HeldInput | undefined)[];
  /** Packets of a result, and bytes of all of them. */
  readonly fragments: number;
  readonly answerBytes: number;
  readonly file: string;
  readonly #finishers: ReadonlyMap<number, Finisher>;
  readonly #large: LargeModel | undefined;
  readonly #upstream: Upstream | undefined;
  readonly #computations = new Map<number, Computation>();
  /** Rows that wait or are being computed. */
  #pending = 0;
  readonly measures = new VersionMeasures();
  /** Whether answers are verdicts: class and margin. */
  readonly isVerdict: boolean;
  #idle: (() => void) | undefined;

  constructor(
    o: VersionOptions,
    fragments: number,
    finishers: ReadonlyMap<number, Finisher>,
    { large, upstream }: { readonly large: LargeModel | undefined; readonly upstream: Upstream | undefined },
  ) {
    const { model, modelId = 1, modelVersion = 1 } = o;
    const outputs = tensorBytes(outputType(model));
    const sources = o.onnx?.sources;
    this.model = model;
    this.name = o.servedName ?? model.name;
    this.tensorNames = { input: sources?.get(0)?.name, output: sources?.get(model.layers.length)?.name };
    this.modelId = modelId;
    this.version = modelVersion;
    this.digest = modelDigest(model);
    this.file = model.file;
    this.layerCount = model.layers.length;
    this.outputElement = outputType(model).element;
    this.isVerdict = isVerdict(model.layers.at(-1));
    this.inputs = heldInputs(model);
    this.fragments = fragments;
    this.answerBytes = outputs + HEADER_BYTES * fragments;
    this.#finishers = finishers;
    this.#large = large;
    this.#upstream = upstream;
  }

  /** What computes the layers from each cursor on; none where a packet cannot carry what is read there. */
  get engines(): readonly (Finisher['on'] | undefined)[] {
    return this.inputs.map((_, cursor) => this.#finishers.get(cursor)?.on);
  }

  get answered(): number {
    return this.measures.answered;
  }

  /** What computes a request with this cursor: the same object each time. @pre there is an input at the cursor */
  computation(cursor: number): Computation {
    const known = this.#computations.get(cursor);
    if (known !== undefined) return known;
    const from = cursor === 0 && this.#large !== undefined ? 'large' : cursor;
    const made = { of: this, from } as const;
    this.#computations.set(cursor, made);
    return made;
  }

  /** `count` rows, one after the other. */
  run(from: Computation['from'], rows: Uint8Array, count: number): Promise<Uint8Array> {
    const computes = from === 'large' ? this.#large : this.#finishers.get(from);
    if (computes === undefined) throw new Error(`nothing computes from ${from} on`);
    return computes.run(rows, count);
  }

  /** Jobs that were taken on; the version is not released before they are settled. */
  take(rows = 1): void {
    this.#pending += rows;
  }

  /**
   * @param outcome what was counted of them by `measures.answer`, else whether they were refused, or are somebody else's now
   */
  settle(outcome: 'answered' | 'failed' | 'given away', rows = 1): void {
    if (outcome === 'failed') this.measures.fail(rows);
    this.#pending -= rows;
    if (this.#pending === 0) this.#idle?.();
  }

  /** Ends when no job of the version waits or is computed any more, and its engines are closed. */
  async release(): Promise<void> {
    if (this.#pending > 0)
      await new Promise<void>((done) => {
        this.#idle = done;
      });
    await this.releaseNow();
  }

  /** Closes the engines, whatever waits. */
  async releaseNow(): Promise<void> {
    for (const f of [...this.#finishers.values(), this.#large, this.#upstream]) await f?.close();
  }
}

/**
 * Makes a version ready: all engines are opened and tried, so that the first packet is computed as fast as any other.
 * @param mtu largest IP packet on the path back
 * @throws DiagnosticError if engine or large model do not serve, or the answer does not fit the path
 */
export async function loadVersion(
  o: VersionOptions,
  mtu: number,
  onDiagnostic: (d: Diagnostic) => void,
): Promise<LoadedVersion> {
  const { model, onnx } = o;
  const outputs = tensorBytes(outputType(model));
  const fragments = fragmentsFor(outputs, mtu);
  if (fragments > MAX_FRAGMENTS)
    refuse(
      'too-many-fragments',
      { bytes: outputs, fragments, limit: MAX_FRAGMENTS, mtu },
      { file: model.file },
    );
  throwErrors(layerCountRefusals(model, MOST_LAYERS, 'the packet format'));
  const finishers = new Map<number, Finisher>();
  let large: LargeModel | undefined;
  let upstream: Upstream | undefined;
  try {
    if (o.upstream !== undefined) upstream = await openUpstream(model, o.upstream, onDiagnostic);
    if (o.large !== undefined) large = await largeModel(model, o.large);
    const runtime = await runtimeFor(o, onDiagnostic);
    const on = runtime === undefined ? 'reference' : (o.on ?? 'auto');
    for (const [cursor, input] of heldInputs(model).entries())
      if (input !== undefined)
        finishers.set(
          cursor,
          upstream !== undefined && cursor <= upstream.from
            ? upstreamFinisher(model, cursor, upstream)
            : await createFinisher(cursor, { model, onnx, runtime, on, onDiagnostic }),
        );
    return new LoadedVersion(o, fragments, finishers, { large, upstream });
  } catch (error) {
    for (const f of [...finishers.values(), large, upstream]) await f?.close();
    throw error;
  }
}

/** ONNX Runtime, where the model can run on it and it is wanted. */
async function runtimeFor(
  { model, onnx, on }: VersionOptions,
  onDiagnostic: (d: Diagnostic) => void,
): Promise<OnnxRuntime | undefined> {
  if (on === 'reference') return undefined;
  if (onnx === undefined) {
    if (on === 'onnxruntime') refuse('no-onnx-graph', {}, { file: model.file });
    return undefined;
  }
  try {
    return await loadOnnxRuntime();
  } catch (error) {
    if (on === 'onnxruntime' || !(error instanceof DiagnosticError)) throw error;
    const reason = error.diagnostics[0]!.message;
    onDiagnostic(diagnostic('worker-on-reference', { from: 0, reason }, { file: model.file }));
    return undefined;
  }
}

async function largeModel(model: Model, file: string): Promise<LargeModel> {
  const last = model.layers.at(-1)!;
  if (!isVerdict(last))
    return refuse(
      'large-model',
      { what: `${model.file} ends in no verdict, which --verdict appends` },
      { file },
    );
  return openLargeModel(
    file,
    await loadOnnxRuntime(),
    model.input,
    elementCount(inputType(model, last).shape),
  );
}
