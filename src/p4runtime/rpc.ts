import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  credentials,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { P4RuntimeError } from './errors.ts';
import type { Init, Message } from './proto/messages.ts';
import { p4runtimeService } from './proto/service.ts';
import { callFailure, rpcFailure, writeFailure } from './rpc-errors.ts';

export { p4runtimeService } from './proto/service.ts';

/** PEM texts. With `cert` and `key` the client shows itself too (mTLS). */
export interface TlsOptions {
  /** Who must have signed the device's certificate; the system's authorities where it is left out. */
  readonly ca?: Uint8Array;
  readonly cert?: Uint8Array;
  readonly key?: Uint8Array;
  /** The name in the device's certificate, where it is not the one dialled. */
  readonly serverName?: string;
}

/** Where a device is, and how the connection to it is kept. */
export interface RpcOptions {
  /** `host:port`, or `unix:/path`. */
  readonly address: string;
  readonly tls?: TlsOptions;
  /** Pings in ms on an idle connection, for paths that break without a reset; servers of gRPC C++ refuse many. */
  readonly keepaliveMs?: number;
}

/** BMv2 answers a wildcard read in one message, and a pipeline may hold megabytes of weights. */
const MAX_MESSAGE_BYTES = 256 * 2 ** 20;

/** The two-way call `StreamChannel`; a request that is encoded already may be written as its bytes. */
export type Stream = ClientDuplexStream<
  Init<'StreamMessageRequest'> | Buffer,
  Message<'StreamMessageResponse'>
>;

type UnaryName = 'Write' | 'SetForwardingPipelineConfig' | 'GetForwardingPipelineConfig' | 'Capabilities';

function credentialsOf(tls: TlsOptions | undefined): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  const buffer = (bytes: Uint8Array | undefined) => (bytes === undefined ? null : Buffer.from(bytes));
  return credentials.createSsl(buffer(tls.ca), buffer(tls.key), buffer(tls.cert));
}

const channelOptions = ({ tls, keepaliveMs }: RpcOptions): ClientOptions => ({
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  // A switch that is just starting refuses the first connections.
  'grpc.initial_reconnect_backoff_ms': 20,
  'grpc.max_reconnect_backoff_ms': 200,
  'grpc.enable_http_proxy': 0,
  // Another client's broken connection to the same address must not be taken over by a redial.
  'grpc.use_local_subchannel_pool': 1,
  ...(tls?.serverName !== undefined && { 'grpc.ssl_target_name_override': tls.serverName }),
  ...(keepaliveMs !== undefined && {
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveMs,
  }),
});

/** One connection: the six methods as they are in the standard, each with a deadline, failures as `P4RuntimeError`. */
export class Rpc {
  readonly #client: Client;

  constructor(options: RpcOptions) {
    this.#client = new Client(options.address, credentialsOf(options.tls), channelOptions(options));
  }

  /** @throws P4RuntimeError that names each update that failed */
  write(request: Init<'WriteRequest'>, timeoutMs: number): Promise<Message<'WriteResponse'>> {
    return this.#unary('Write', request, timeoutMs, (error, { updates }) =>
      writeFailure(error, updates ?? []),
    );
  }

  setPipeline(request: Init<'SetForwardingPipelineConfigRequest'>, timeoutMs: number): Promise<object> {
    return this.#unary('SetForwardingPipelineConfig', request, timeoutMs);
  }

  getPipeline(
    request: Init<'GetForwardingPipelineConfigRequest'>,
    timeoutMs: number,
  ): Promise<Message<'GetForwardingPipelineConfigResponse'>> {
    return this.#unary('GetForwardingPipelineConfig', request, timeoutMs);
  }

  capabilities(
    request: Init<'CapabilitiesRequest'>,
    timeoutMs: number,
  ): Promise<Message<'CapabilitiesResponse'>> {
    return this.#unary('Capabilities', request, timeoutMs);
  }

  /**
   * Messages as they come; a fault behind the last of them is thrown, never swallowed. The time-out is that of the device:
   * it runs while a message is waited for, not while the caller works on one.
   */
  async *read(
    request: Init<'ReadRequest'>,
    timeoutMs: number,
  ): AsyncGenerator<Message<'ReadResponse'>, void, void> {
    const { path, requestSerialize, responseDeserialize } = method<
      Init<'ReadRequest'>,
      Message<'ReadResponse'>
    >('Read');
    const stream: ClientReadableStream<Message<'ReadResponse'>> = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
    );
    const messages = stream[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next: IteratorResult<Message<'ReadResponse'>> | undefined = await within(
          messages.next(),
          timeoutMs,
        );
        if (next === undefined)
          throw rpcFailure('Read', status.DEADLINE_EXCEEDED, `no answer within ${timeoutMs} ms`);
        if (next.done === true) return;
        yield next.value;
      }
    } catch (error) {
      throw error instanceof P4RuntimeError ? error : callFailure('Read', error as ServiceError);
    } finally {
      stream.cancel();
    }
  }

  /**
   * The stream lives until either side ends it: it alone has no deadline. It takes messages that are serialised already too,
   * because one that cannot be would end it.
   */
  openStream(): Stream {
    const { path, requestSerialize, responseDeserialize } = method<
      Init<'StreamMessageRequest'>,
      Message<'StreamMessageResponse'>
    >('StreamChannel');
    const serialise = (message: Init<'StreamMessageRequest'> | Buffer): Buffer =>
      Buffer.isBuffer(message) ? message : requestSerialize(message);
    return this.#client.makeBidiStreamRequest(path, serialise, responseDeserialize);
  }

  close(): void {
    this.#client.close();
  }

  #unary<I extends object, O>(
    name: UnaryName,
    request: I,
    timeoutMs: number,
    failure: (error: ServiceError, request: I) => P4RuntimeError = (error) => callFailure(name, error),
  ): Promise<O> {
    const { path, requestSerialize, responseDeserialize } = method<I, O>(name);
    // What belongs to a call that is over may stay for long, since older parts of grpc-js know of it: so it lets go of the
    // request, or the thousands of entries of a long Write would be kept, and copied, until the next full collection.
    const held: { request: I | undefined } = { request };
    return new Promise((resolve, reject) => {
      withoutStack(() =>
        this.#client.makeUnaryRequest<{ readonly request: I | undefined }, O>(
          path,
          ({ request }) => requestSerialize(request!),
          responseDeserialize,
          held,
          { deadline: Date.now() + timeoutMs },
          (error, value) => {
            if (error === null) resolve(value!);
            else reject(failure(error, held.request!));
            held.request = undefined;
          },
        ),
      );
    });
  }
}

/**
 * grpc-js notes down where each call was made, which costs as much as a dozen entries, for an error that becomes one of ours
 * anyway.
 */
function withoutStack<T>(call: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return call();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** @returns undefined where the time was over first */
async function within<T>(work: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), timeoutMs);
  });
  // What comes of it later is nobody's.
  work.catch(() => {});
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** The service comes from the same schema as the types of its messages; that pairing is taken on trust here. */
const method = <I, O>(name: string) => p4runtimeService()[name] as MethodDefinition<I, O>;
