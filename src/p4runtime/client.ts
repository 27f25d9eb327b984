import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { callFailure, rpcFailure, writeFailure } from './rpc-errors.ts';
import { p4runtimeDescriptor } from './schema.ts';
import type { CounterEntry, ElectionId, Entity, P4Info, Update } from './types.ts';

export interface P4RuntimeClientOptions {
  /** `host:port`. */
  readonly address: string;
  readonly deviceId: number;
  readonly electionId?: ElectionId;
  /** Of each call, in ms. */
  readonly timeoutMs?: number;
}

/** Updates a Write: a failed batch answers with one error an update, and grpc-js hangs on trailers above 61 kB. */
const BATCH = 250;

/** BMv2 answers a wildcard read in one message. */
const MAX_MESSAGE_BYTES = 64 * 2 ** 20;

const service = fromJSON(p4runtimeDescriptor, { longs: Number, enums: String, defaults: true, oneofs: true })[
  'p4.v1.P4Runtime'
] as ServiceDefinition;

interface StreamResponse {
  readonly arbitration?: {
    readonly status: { readonly code: number; readonly message: string } | null;
    readonly electionId: ElectionId | null;
  } | null;
}

interface UnaryOptions {
  /** Waits for the connection, within the deadline, instead of failing at once. */
  readonly waitForReady?: boolean;
  readonly failure?: (error: ServiceError) => Error;
}

type Arbitrated = (error?: Error) => void;

/**
 * One controller's session with one device: becomes primary, pushes a pipeline, writes entries, reads counters. Every
 * call has a deadline. What a long-lived controller needs beyond that (re-election, reconnects) is not here.
 */
export class P4RuntimeClient {
  readonly #client: Client;
  readonly #deviceId: number;
  readonly #electionId: ElectionId;
  readonly #timeoutMs: number;
  #stream: ClientDuplexStream<object, StreamResponse> | undefined;
  #arbitrated: Arbitrated | undefined;

  constructor(options: P4RuntimeClientOptions) {
    this.#client = new Client(options.address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      // A switch that is just starting refuses the first connections.
      'grpc.initial_reconnect_backoff_ms': 20,
      'grpc.max_reconnect_backoff_ms': 200,
      'grpc.enable_http_proxy': 0,
    });
    this.#deviceId = options.deviceId;
    this.#electionId = options.electionId ?? { high: 0, low: 1 };
    this.#timeoutMs = options.timeoutMs ?? 10_000;
  }

  /** The P4Runtime version of the device. Waits for it to come up, within the deadline. */
  async capabilities(): Promise<string> {
    const answer = await this.#unary<{ p4runtimeApiVersion: string }>(
      'Capabilities',
      {},
      { waitForReady: true },
    );
    return answer.p4runtimeApiVersion;
  }

  /** Opens the stream and becomes primary. @throws P4RuntimeError if another controller is. */
  async arbitrate(): Promise<void> {
    const stream = this.#client.makeBidiStreamRequest<object, StreamResponse>(
      service.StreamChannel!.path,
      service.StreamChannel!.requestSerialize,
      service.StreamChannel!.responseDeserialize as (bytes: Buffer) => StreamResponse,
    );
    this.#stream = stream;
    stream.on('data', (message: StreamResponse) => this.#receive(message));
    stream.on('error', (e: ServiceError) => this.#arbitrated?.(callFailure('StreamChannel', e)));
    stream.on('end', () =>
      this.#arbitrated?.(rpcFailure('StreamChannel', status.UNAVAILABLE, 'the device closed the stream')),
    );
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => this.#arbitrated?.(rpcFailure('StreamChannel', status.DEADLINE_EXCEEDED, 'no arbitration')),
        this.#timeoutMs,
      );
      this.#arbitrated = (error) => {
        clearTimeout(timer);
        this.#arbitrated = undefined;
        if (error === undefined) resolve();
        else reject(error);
      };
      stream.write({ arbitration: { deviceId: this.#deviceId, electionId: this.#electionId } });
    });
  }

  #receive({ arbitration }: StreamResponse): void {
    if (arbitration === undefined || arbitration === null) return;
    const code = arbitration.status?.code ?? 0;
    if (code === 0) this.#arbitrated?.();
    else this.#arbitrated?.(rpcFailure('StreamChannel', code, arbitration.status?.message ?? ''));
  }

  /** Loads a program; forwarding changes at once and all entries are gone. */
  async setPipeline(p4info: P4Info, deviceConfig: Uint8Array): Promise<void> {
    await this.#unary('SetForwardingPipelineConfig', {
      electionId: this.#electionId,
      action: 'VERIFY_AND_COMMIT',
      config: { p4info, p4DeviceConfig: deviceConfig },
    });
  }

  /** Writes in batches, in order. A batch that fails stops the rest; its other updates may have been done. */
  async write(updates: readonly Update[]): Promise<void> {
    for (let at = 0; at < updates.length; at += BATCH) {
      const batch = updates.slice(at, at + BATCH);
      const failure = (error: ServiceError) => writeFailure(error, batch, at);
      await this.#unary('Write', { electionId: this.#electionId, updates: batch }, { failure });
    }
  }

  /** All cells of an indirect counter, by index. */
  async readCounter(counterId: number): Promise<readonly CounterEntry[]> {
    const entities = await this.#read([{ counterEntry: { counterId } }]);
    return entities.flatMap((e) => ('counterEntry' in e && e.counterEntry ? [e.counterEntry] : []));
  }

  close(): void {
    this.#arbitrated?.(rpcFailure('StreamChannel', status.CANCELLED, 'closed'));
    this.#stream?.removeAllListeners('data');
    this.#stream?.on('error', () => {});
    this.#stream?.cancel();
    this.#client.close();
  }

  #deadline(): number {
    return Date.now() + this.#timeoutMs;
  }

  #unary<R>(method: string, fields: object, options: UnaryOptions = {}): Promise<R> {
    const { waitForReady = false, failure = (e: ServiceError) => callFailure(method, e) } = options;
    const { path, requestSerialize, responseDeserialize } = service[method]!;
    return new Promise((resolve, reject) => {
      const call = () =>
        this.#client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize as (bytes: Buffer) => R,
          { deviceId: this.#deviceId, ...fields },
          { deadline: this.#deadline() },
          (error, value) => (error ? reject(failure(error)) : resolve(value!)),
        );
      if (!waitForReady) call();
      else
        this.#client.waitForReady(this.#deadline(), (error) =>
          error ? reject(rpcFailure(method, status.UNAVAILABLE, 'no connection')) : call(),
        );
    });
  }

  #read(entities: readonly Entity[]): Promise<readonly Entity[]> {
    const { path, requestSerialize, responseDeserialize } = service.Read!;
    return new Promise((resolve, reject) => {
      const found: Entity[] = [];
      const stream: ClientReadableStream<{ entities: readonly Entity[] }> =
        this.#client.makeServerStreamRequest(
          path,
          requestSerialize,
          responseDeserialize as (bytes: Buffer) => { entities: readonly Entity[] },
          { deviceId: this.#deviceId, entities },
          { deadline: this.#deadline() },
        );
      stream.on('data', (message) => found.push(...message.entities));
      stream.on('error', (e: ServiceError) => reject(callFailure('Read', e)));
      stream.on('end', () => resolve(found));
    });
  }
}
