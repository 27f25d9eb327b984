import { messageOf } from '../../../durable/index.ts';
import { importBytes } from '../../../import/index.ts';
import { outputType, rowType } from '../../../model/model.ts';
import { type ElementType, tensorBytes } from '../../../model/tensor.ts';
import type { LoadedVersion, VersionOptions } from '../loaded-version.ts';
import type { Worker } from '../worker.ts';
import { InferenceFault, invalid } from './fault.ts';
import { namedModels, needModel, needVersion } from './names.ts';
import type { Repository, VersionFile } from './repository.ts';
import {
  type Datatype,
  type GivenTensor,
  inDatatype,
  integersOf,
  isDatatype,
  isIntegers,
  MOST_ROWS,
  rowsOf,
} from './tensors.ts';

/** Sizes of -1 are open: that of the batch. */
export interface TensorMetadata {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
}

/** What the protocol tells of a model before it is asked. */
export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  readonly properties: Readonly<Record<string, string>>;
}

interface InferRequest {
  readonly model: string;
  /** Empty: the current one. */
  readonly version: string;
  readonly inputs: readonly GivenTensor[];
  /** None: all that there are. */
  readonly outputs: readonly { readonly name: string; readonly datatype?: string | undefined }[];
}

/** A worker's models have one output; its bytes are little-endian, row by row. */
export interface InferResult {
  readonly model: string;
  readonly version: string;
  readonly output: TensorMetadata & { readonly bytes: Uint8Array };
}

interface IndexEntry {
  readonly name: string;
  readonly version: string;
  readonly state: 'READY' | 'UNAVAILABLE';
  readonly reason: string;
}

interface ModelServerOptions {
  readonly version: string;
  readonly repository?: Repository | undefined;
  /** What computes models that are loaded. */
  readonly on?: VersionOptions['on'];
  /** Rows in one run at most; 64 if absent. */
  readonly batch?: number;
}

/** Rows of all requests that wait, and their bytes: what comes on top is refused. */
const MOST_WAITING = MOST_ROWS;
const MOST_WAITING_BYTES = 64 * 2 ** 20;

/** Extensions of the protocol that are spoken, by their names. */
export const EXTENSIONS = ['binary_tensor_data', 'model_repository'] as const;

/** What a worker holds, as the Open Inference Protocol asks for it; how the call came is another matter. */
export class ModelServer {
  readonly #worker: Worker;
  readonly #options: ModelServerOptions;
  #waiting = 0;
  #waitingBytes = 0;
  /** Requests are computed one after the other: none holds the engines up for longer than it takes. */
  #turn: Promise<unknown> = Promise.resolve();
  #loading: Promise<unknown> = Promise.resolve();

  constructor(worker: Worker, options: ModelServerOptions) {
    this.#worker = worker;
    this.#options = options;
  }

  metadata() {
    return { name: 'intransit', version: this.#options.version, extensions: [...EXTENSIONS] };
  }

  isReady(): boolean {
    return this.#worker.isReady();
  }

  /** @throws InferenceFault where there is no such model */
  isModelReady(name: string, version: string): boolean {
    needVersion(needModel(this.#worker, name), version);
    return this.isReady();
  }

  modelMetadata(name: string, version: string): ModelMetadata {
    const model = needModel(this.#worker, name);
    const held = needVersion(model, version);
    const { input, output } = tensorsOf(held);
    return {
      name: model.name,
      versions: [...model.versions.keys()].sort((a, b) => a - b).map(String),
      platform: held.file.endsWith('.onnx') ? 'onnx_onnxv1' : 'intransit_integers',
      inputs: [input],
      outputs: [output],
      properties: { model_id: `${model.modelId}`, digest: held.digest, layers: `${held.layerCount}` },
    };
  }

  /** @throws InferenceFault, DiagnosticError */
  async infer(request: InferRequest): Promise<InferResult> {
    const model = needModel(this.#worker, request.model);
    const held = needVersion(model, request.version);
    const { input, output } = tensorsOf(held);
    const [given, ...more] = request.inputs;
    if (given === undefined || more.length > 0)
      return invalid(`the request has ${request.inputs.length} inputs, the model one, "${input.name}"`);
    if (given.name !== input.name)
      return invalid(`there is no input "${given.name}": the model has "${input.name}"`);
    const rows = rowsOf(given, rowType(held.model), held.model.inputAffine);
    const wanted = datatypeOf(request, output, rows.datatype);
    const bytes = await this.#compute(held, rows.bytes, rows.count);
    const type = outputType(held.model);
    const shape = rows.isBatch ? [rows.count, ...type.shape] : type.shape;
    return {
      model: model.name,
      version: `${held.version}`,
      output: { name: output.name, datatype: wanted, shape, bytes: inDatatype(bytes, type, wanted) },
    };
  }

  async #compute(held: LoadedVersion, rows: Uint8Array, count: number): Promise<Uint8Array> {
    if (this.#waiting + count > MOST_WAITING || this.#waitingBytes + rows.length > MOST_WAITING_BYTES)
      throw new InferenceFault('too much', 'too many rows wait already: ask again in a moment');
    this.#waiting += count;
    this.#waitingBytes += rows.length;
    held.take(count);
    const began = performance.now();
    let answered = false;
    try {
      const work = this.#turn.then(() => this.#run(held, rows, count));
      // Told below; the next rows are computed all the same.
      this.#turn = work.catch(() => {});
      const made = await work;
      answered = true;
      const us = 1000 * (performance.now() - began);
      for (let row = 0; row < count; row++)
        held.measures.answer(us, held.isVerdict ? made[2 * row + 1] : undefined);
      return made;
    } catch (error) {
      const [reason] = messageOf(error).split('\n');
      throw new InferenceFault('unavailable', `the engine failed: ${reason}`);
    } finally {
      held.settle(answered ? 'answered' : 'failed', count);
      this.#waiting -= count;
      this.#waitingBytes -= rows.length;
    }
  }

  async #run(held: LoadedVersion, rows: Uint8Array, count: number): Promise<Uint8Array> {
    const { batch = 64 } = this.#options;
    const { from } = held.computation(0);
    const [width, outWidth] = [rows.length / count, tensorBytes(outputType(held.model))];
    const out = new Uint8Array(count * outWidth);
    for (let row = 0; row < count; row += batch) {
      const last = Math.min(count, row + batch);
      const part = await held.run(from, rows.subarray(row * width, last * width), last - row);
      out.set(part, row * outWidth);
      await new Promise(setImmediate);
    }
    return out;
  }

  index(onlyReady: boolean): readonly IndexEntry[] {
    const held = namedModels(this.#worker);
    const ready = held.flatMap(({ name, versions }) =>
      [...versions.keys()]
        .sort((a, b) => a - b)
        .map((version): IndexEntry => ({ name, version: `${version}`, state: 'READY', reason: '' })),
    );
    if (onlyReady) return ready;
    const known = new Set(ready.map((e) => `${e.name}/${e.version}`));
    const others = (this.#options.repository?.models() ?? []).flatMap(({ name, versions }) =>
      versions
        .filter((version) => !known.has(`${name}/${version}`))
        .map(
          (version): IndexEntry => ({
            name,
            version: `${version}`,
            state: 'UNAVAILABLE',
            reason: 'unloaded',
          }),
        ),
    );
    return [...ready, ...others];
  }

  /**
   * Takes a model on, all versions that the repository has of it or those that came with the call; the highest of them becomes
   * current. Where one of them does not serve, no new one stays.
   * @throws InferenceFault, DiagnosticError
   */
  async load(name: string, given: readonly VersionFile[]): Promise<void> {
    const { repository } = this.#options;
    const files = given.length > 0 ? given : repository?.files(name);
    if (files === undefined)
      return invalid('there is no repository: start the worker with --repository, or send file:VERSION/NAME');
    const work = this.#loading.then(() => this.#take(name, files));
    // Told to whoever asked; the next model is loaded all the same.
    this.#loading = work.catch(() => {});
    await work;
  }

  async #take(name: string, files: readonly VersionFile[]): Promise<void> {
    const { on } = this.#options;
    const loaded = namedModels(this.#worker);
    const modelId = loaded.find((m) => m.name === name)?.modelId ?? freeId(loaded.map((m) => m.modelId));
    const held = new Set(loaded.find((m) => m.modelId === modelId)?.versions.keys());
    const taken: number[] = [];
    try {
      for (const { version: modelVersion, name: file, read } of files) {
        const bytes = read();
        const { model, sources } = await importBytes(bytes, file);
        const onnx = sources && { bytes, sources };
        await this.#worker.load({ model, onnx, modelId, modelVersion, servedName: name, ...(on && { on }) });
        taken.push(modelVersion);
      }
    } catch (error) {
      for (const version of taken.filter((v) => !held.has(v))) await this.#worker.unload(modelId, version);
      throw error;
    }
    this.#worker.makeCurrent(modelId, Math.max(...taken));
  }

  /** Ends when what was asked of it is answered. @throws InferenceFault where it is not held */
  async unload(name: string): Promise<void> {
    const { modelId, versions } = needModel(this.#worker, name);
    for (const version of [...versions.keys()]) await this.#worker.unload(modelId, version);
  }
}

function freeId(taken: readonly number[]): number {
  for (let id = 1; id <= 0xffff; id++) if (!taken.includes(id)) return id;
  throw new InferenceFault('too much', 'all model ids are taken');
}

/** Integers come and go as such; where the source itself reads reals, so do its clients. */
function tensorsOf(held: LoadedVersion): { readonly input: TensorMetadata; readonly output: TensorMetadata } {
  const { model, tensorNames } = held;
  const output = outputType(model);
  const datatype = (element: ElementType) => (model.readsReals ? 'FP32' : integersOf[element]);
  return {
    input: {
      name: tensorNames.input ?? 'input',
      datatype: datatype(model.input.element),
      shape: [-1, ...rowType(model).shape],
    },
    output: {
      name: tensorNames.output ?? 'output',
      datatype: datatype(output.element),
      shape: [-1, ...output.shape],
    },
  };
}

/** Of the answer: what the request asks for, else reals where it brought reals, else what the metadata say. */
function datatypeOf({ outputs }: InferRequest, output: TensorMetadata, brought: Datatype): Datatype {
  const [wanted, ...more] = outputs;
  const unknown = outputs.find((o) => o.name !== output.name) ?? more[0];
  if (unknown !== undefined)
    return invalid(`there is no output "${unknown.name}": the model has one, "${output.name}"`);
  const { datatype } = wanted ?? {};
  if (datatype === undefined) return !isIntegers(brought) ? brought : output.datatype;
  const isFit = isDatatype(datatype) && (!isIntegers(datatype) || datatype === output.datatype);
  return isFit
    ? datatype
    : invalid(`output "${output.name}" comes as ${output.datatype}, FP32 or FP64, not as ${datatype}`);
}
