import { createSocket, type Socket } from 'node:dgram';
import { type Diagnostic, DiagnosticError, diagnostic, refuse, throwErrors } from '../diagnostics/index.ts';
import { raiseBuffers } from '../edge/socket.ts';
import { layerCountRefusals } from '../model/layer-count.ts';
import { inputType, type Model, outputType } from '../model/model.ts';
import { elementCount } from '../model/tensor.ts';
import { fragmentsFor, MAX_FRAGMENTS } from '../wire/fragments.ts';
import { DEFAULT_PORT, HEADER_BYTES, MOST_LAYERS } from '../wire/index.ts';
import { createFinisher, type Finisher, type OnnxSource, type WorkerEngine } from './finisher.ts';
import { type LargeModel, openLargeModel } from './large-model.ts';
import { loadOnnxRuntime, type OnnxRuntime } from './onnxruntime.ts';
import { defaultLimits, type ReassemblyLimits } from './reassembly.ts';
import { type Held, heldInputs } from './requests.ts';
import { Service, type ServiceParts, type WorkerStatistics } from './service.ts';

export interface WorkerOptions {
  readonly model: Model;
  /** The graph of the model, for ONNX Runtime. */
  readonly onnx?: OnnxSource | undefined;
  /** `auto` if absent. */
  readonly on?: WorkerEngine;
  /** ONNX file of the large model behind an early exit: it answers raw inputs. The model must end in a verdict. */
  readonly large?: string | undefined;
  /** 0.0.0.0:18858 if absent; port 0 is any free one. */
  readonly listen?: { readonly host?: string; readonly port?: number };
  /** 1 if absent. */
  readonly modelId?: number;
  /** 1 if absent; packets of version 0 are computed too. */
  readonly modelVersion?: number;
  /** Trust zones that it is in, beside 0. */
  readonly zones?: readonly number[];
  /** Rows in one run at most; 64 if absent. */
  readonly batch?: number;
  /** Largest IP packet on the path back; 1500 if absent. */
  readonly mtu?: number;
  readonly reassembly?: Partial<ReassemblyLimits>;
  /** Requests a second of one host, more are dropped; as many as it likes if absent. */
  readonly sourceRate?: number | undefined;
  /** ms for which `close` computes what waits; then it is refused. 5,000 if absent. */
  readonly graceMs?: number;
  /** Warnings and notes of the choice of engines, and the first failure of each kind. */
  readonly onDiagnostic?: (d: Diagnostic) => void;
}

export interface Worker {
  readonly address: string;
  readonly port: number;
  /** What computes the layers from each cursor on; none where a packet cannot carry what is read there. */
  readonly engines: readonly (Finisher['on'] | undefined)[];
  statistics(): WorkerStatistics;
  /**
   * Finishes what waits, then stops; after `graceMs` it refuses what still waits, and stops all the same. Can be called again.
   */
  close(): Promise<void>;
}

const GRACE_MS = 5000;

/**
 * Finishes the layers that the path has left.
 * @throws DiagnosticError if the address is taken, or engine or large model do not serve
 */
export async function createWorker(options: WorkerOptions): Promise<Worker> {
  const { model, mtu = 1500 } = options;
  const outputs = elementCount(outputType(model).shape);
  const fragments = fragmentsFor(outputs, mtu);
  if (fragments > MAX_FRAGMENTS)
    refuse(
      'too-many-fragments',
      { bytes: outputs, fragments, limit: MAX_FRAGMENTS, mtu },
      { file: model.file },
    );
  throwErrors(layerCountRefusals(model, MOST_LAYERS, 'the packet format'));
  const inputs = heldInputs(model);
  const finishers = new Map<number, Finisher>();
  let large: LargeModel | undefined;
  const release = async () => {
    for (const f of [...finishers.values(), large]) await f?.close();
  };
  try {
    if (options.large !== undefined) large = await largeModel(model, options.large);
    const { onnx, onDiagnostic = () => {} } = options;
    const runtime = await runtimeFor(options);
    const on = runtime === undefined ? 'reference' : (options.on ?? 'auto');
    // All at once: a worker that says it listens computes the first packet as fast as any other.
    for (const [cursor, input] of inputs.entries())
      if (input !== undefined)
        finishers.set(cursor, await createFinisher(cursor, { model, onnx, runtime, on, onDiagnostic }));
    const held: Held = {
      modelId: options.modelId ?? 1,
      modelVersion: options.modelVersion ?? 1,
      layerCount: model.layers.length,
      zones: new Set(options.zones),
      inputs,
    };
    const socket = await listen(options.listen ?? {});
    const reassembly = { ...defaultLimits, ...options.reassembly };
    const { batch = 64 } = options;
    const parts = {
      held,
      outputElement: outputType(model).element,
      finishers,
      large,
      fragments,
      answerBytes: outputs + HEADER_BYTES * fragments,
      sourceRate: options.sourceRate,
      onEngineError: (reason: string, rows: number) =>
        onDiagnostic(diagnostic('worker-engine', { rows, reason }, { file: model.file })),
      batch,
      reassembly,
    };
    return serve(socket, parts, release, options.graceMs ?? GRACE_MS);
  } catch (error) {
    await release();
    throw error;
  }
}

/** ONNX Runtime, where the model can run on it and it is wanted. */
async function runtimeFor({
  model,
  onnx,
  on,
  onDiagnostic,
}: WorkerOptions): Promise<OnnxRuntime | undefined> {
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
    onDiagnostic?.(diagnostic('worker-on-reference', { from: 0, reason }, { file: model.file }));
    return undefined;
  }
}

async function largeModel(model: Model, file: string): Promise<LargeModel> {
  const last = model.layers.at(-1)!;
  if (last.kind !== 'argmax')
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

async function listen({ host = '0.0.0.0', port = DEFAULT_PORT }): Promise<Socket> {
  // Peers are addresses already: nothing is to be looked up for each packet.
  const socket = createSocket({ type: 'udp4', lookup: (address, _, done) => done(null, address, 4) });
  try {
    await new Promise<void>((done, fail) => {
      socket.once('error', fail);
      socket.bind(port, host, done);
    });
  } catch (error) {
    socket.close();
    return refuse('listen-failed', { address: `${host}:${port}`, reason: (error as Error).message });
  }
  socket.removeAllListeners('error');
  raiseBuffers(socket);
  return socket;
}

function serve(socket: Socket, parts: ServiceParts, release: () => Promise<void>, graceMs: number): Worker {
  const service = new Service(socket, parts);
  socket.on('message', (payload, from) => service.receive(payload, from));
  // An ICMP message about one of the senders is no reason to stop.
  socket.on('error', () => service.countUnsent());
  const { address, port } = socket.address();
  let closing: Promise<void> | undefined;
  const stop = async () => {
    const isLate = await service.stop(graceMs);
    await new Promise<void>((done) => socket.close(done));
    // A session that still runs must not go under it; nobody waits for that.
    if (isLate) service.working.then(release).catch((error) => parts.onEngineError(String(error), 0));
    else await release();
  };
  return {
    address,
    port,
    engines: parts.held.inputs.map((_, cursor) => parts.finishers.get(cursor)?.on),
    statistics: () => service.statistics(),
    close() {
      closing ??= stop();
      return closing;
    },
  };
}
