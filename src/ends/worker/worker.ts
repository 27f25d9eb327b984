import { createSocket, type Socket } from 'node:dgram';
import { type Diagnostic, diagnostic, refuse } from '../../diagnostics/index.ts';
import type { Measures, WorkerLoad } from '../../doors/measures.ts';
import { DEFAULT_PORT } from '../../wire/index.ts';
import { raiseBuffers } from '../common/socket.ts';
import type { Finisher } from './finisher.ts';
import { Holdings } from './holdings.ts';
import { type LoadedVersion, loadVersion, type VersionOptions } from './loaded-version.ts';
import { defaultLimits, type ReassemblyLimits } from './reassembly.ts';
import { type ReleasedJob, type ReleasedRow, Service, type WorkerStatistics } from './service.ts';

/** A worker begins with one model, or with none, and is given others while it runs. */
export interface WorkerOptions extends Partial<VersionOptions> {
  /** 0.0.0.0:18858 if absent; port 0 is any free one. */
  readonly listen?: { readonly host?: string; readonly port?: number };
  /** Trust zones that it is in, beside 0. */
  readonly zones?: readonly number[];
  /** Rows in one run at most; 64 if absent. */
  readonly batch?: number;
  /** Largest IP packet on the path back; 1500 if absent. */
  readonly mtu?: number;
  readonly reassembly?: Partial<ReassemblyLimits>;
  /** Requests a second of one host, more are dropped; as many as it likes if absent. */
  readonly sourceRate?: number | undefined;
  /** ms that rows may wait before the worker says that it is overloaded; 50 if absent. */
  readonly overloadMs?: number | undefined;
  /** ms for which `close` computes what waits; then it is refused. 5,000 if absent. */
  readonly graceMs?: number;
  /** A controller will say what there is: until then whoever asks is told to ask again. */
  readonly awaitsController?: boolean;
  /** Warnings and notes of the choice of engines, and the first failure of each kind. */
  readonly onDiagnostic?: (d: Diagnostic) => void;
}

/** A version that a worker holds. */
export interface HeldVersion {
  readonly version: number;
  /** SHA-256 of what it computes. */
  readonly digest: string;
  readonly layerCount: number;
  /** What computes the layers from each cursor on. */
  readonly engines: readonly (Finisher['on'] | undefined)[];
  /** Rows that it has answered. */
  readonly answered: number;
  readonly measures: Measures;
}

/** A model that a worker holds, with its versions. */
export interface HeldModel {
  readonly modelId: number;
  /** By which clients of the Open Inference Protocol know it. */
  readonly name: string;
  /** Computes the requests that name no version. */
  readonly current: number | undefined;
  readonly versions: readonly HeldVersion[];
}

/** A model with the versions that compute it. */
export interface LoadedModel {
  readonly modelId: number;
  readonly name: string;
  readonly current: number | undefined;
  readonly versions: ReadonlyMap<number, LoadedVersion>;
}

/** A worker that listens: it finishes what devices leave, for all versions that it holds. */
export interface Worker {
  readonly address: string;
  readonly port: number;
  /**
   * Of the model that it began with, what computes the layers from each cursor on; none where a packet cannot carry what is
   * read there.
   */
  readonly engines: readonly (Finisher['on'] | undefined)[];
  /**
   * Takes a version on, beside those that are there; requests that name it are told to ask again until it is ready. One that is
   * there already under the same number gives way to it.
   * @throws DiagnosticError if engine or large model do not serve
   */
  load(version: VersionOptions): Promise<void>;
  /** Requests of the model that name no version are computed by this one from now on, or by none. @returns false if it is not held */
  makeCurrent(modelId: number, version: number | undefined): boolean;
  /** Ends when what was asked of it is answered. @returns false if it was not held */
  unload(modelId: number, version: number): Promise<boolean>;
  held(): readonly HeldModel[];
  /** The same, to compute with. */
  loaded(): readonly LoadedModel[];
  /** Whether it has been told what there is, and is not about to end. */
  isReady(): boolean;
  /** Gives a job away to the worker at an address: what waits of it, and by which versions it goes on. What still comes is sent on. */
  release(jobId: bigint, to: { readonly address: string; readonly port: number }): ReleasedJob;
  /**
   * Takes a job on, or back.
   * @param from the worker that gave it away, which hands answers on; absent where that was this one
   * @returns how many of its rows wait here now; the others were refused, and come again
   */
  accept(
    jobId: bigint,
    rows: readonly ReleasedRow[],
    from?: { readonly address: string; readonly port: number },
  ): number;
  statistics(): WorkerStatistics;
  /** How much it has to do. */
  workload(): WorkerLoad;
  /**
   * Finishes what waits, then stops; after `graceMs` it refuses what still waits, and stops all the same. Can be called again.
   */
  close(): Promise<void>;
}

const GRACE_MS = 5000;
const OVERLOAD_MS = 50;

/**
 * Finishes the layers that the path has left.
 * @throws DiagnosticError if the address is taken, or engine or large model do not serve
 */
export async function createWorker(options: WorkerOptions): Promise<Worker> {
  const { model, mtu = 1500, onDiagnostic = () => {} } = options;
  const holdings = new Holdings();
  const first = model && (await loadVersion({ ...options, model }, mtu, onDiagnostic));
  if (first !== undefined) {
    holdings.add(first);
    holdings.setCurrent(first.modelId, first.version);
  }
  holdings.awaited = first === undefined && options.awaitsController === true;
  let socket: Socket;
  try {
    socket = await listen(options.listen ?? {});
  } catch (error) {
    await first?.releaseNow();
    throw error;
  }
  return serve(socket, holdings, first, options);
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

// Long: one object, whose methods share the socket and what is held.
function serve(
  socket: Socket,
  holdings: Holdings,
  first: LoadedVersion | undefined,
  options: WorkerOptions,
): Worker {
  const { mtu = 1500, batch = 64, onDiagnostic = () => {} } = options;
  const onEngineError = (reason: string, rows: number, file = '') =>
    onDiagnostic(diagnostic('worker-engine', { rows, reason }, { file }));
  const service = new Service(socket, {
    holdings,
    zones: new Set(options.zones),
    sourceRate: options.sourceRate,
    onEngineError,
    overloadMs: options.overloadMs ?? OVERLOAD_MS,
    batch,
    reassembly: { ...defaultLimits, ...options.reassembly },
  });
  socket.on('message', (payload, from) => service.receive(payload, from));
  // An ICMP message about one of the senders is no reason to stop.
  socket.on('error', () => service.countUnsent());
  const { address, port } = socket.address();
  const releaseAll = async () => {
    for (const version of holdings.all()) await version.releaseNow();
  };
  let closing: Promise<void> | undefined;
  const stop = async () => {
    const isLate = await service.stop(options.graceMs ?? GRACE_MS);
    await new Promise<void>((done) => socket.close(done));
    // A session that still runs must not go under it; nobody waits for that.
    if (isLate) service.working.then(releaseAll).catch((error) => onEngineError(String(error), 0));
    else await releaseAll();
  };
  return {
    address,
    port,
    engines: first?.engines ?? [],
    async load(version) {
      const { modelId = 1, modelVersion = 1 } = version;
      holdings.expect(modelId, modelVersion);
      try {
        const before = holdings.add(await loadVersion(version, mtu, onDiagnostic));
        await before?.release();
      } finally {
        holdings.expectNoMore(modelId, modelVersion);
      }
    },
    makeCurrent: (modelId, version) => holdings.setCurrent(modelId, version),
    async unload(modelId, version) {
      const removed = holdings.remove(modelId, version);
      await removed?.release();
      return removed !== undefined;
    },
    held: () =>
      [...holdings.models].map(([modelId, { name, current, versions }]) => ({
        modelId,
        name,
        current,
        versions: [...versions.values()].map((v) => ({
          version: v.version,
          digest: v.digest,
          layerCount: v.layerCount,
          engines: v.engines,
          answered: v.answered,
          measures: v.measures.document(),
        })),
      })),
    loaded: () => [...holdings.models].map(([modelId, model]) => ({ modelId, ...model })),
    isReady: () => !holdings.awaited && closing === undefined,
    release: (jobId, to) => service.release(jobId, to),
    accept: (jobId, rows, from) => service.accept(jobId, rows, from),
    statistics: () => service.statistics(),
    workload: () => service.load(),
    close() {
      closing ??= stop();
      return closing;
    },
  };
}
