import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Init, Message, MessageName } from '../proto/messages.ts';
import { messagePlan } from '../proto/registry.ts';
import { shapeOf } from '../proto/shape.ts';
import { p4runtimeService } from '../rpc.ts';
import { Admission, admittedOf, type Method } from './admission.ts';
import type { Controller } from './arbitration.ts';
import { PartialFailure, statusOf } from './batch-status.ts';
import type { P4Device } from './device.ts';
import { DeviceServer, type DeviceServerOptions } from './device-server.ts';
import { Door, type DoorTls, placeOf, type SocketMode } from './door.ts';
import { Fault, notFound } from './fault.ts';
import { KEEPALIVE, LIMITS } from './limits.ts';
import type { Peer, PeerRule } from './peer.ts';

/** What this server speaks; 1.5's additions are taken where they have their defaults. */
export const API_VERSION = '1.4.1';

const MAX_SEND_BYTES = 256 * 2 ** 20;
const MAX_STREAMS = 16;

/** Where a server listens, and whom it lets in. */
export interface P4RuntimeServerOptions {
  /** `host:port` (port 0 takes a free one), or `unix:/path`. */
  readonly address: string;
  /** With `ca` clients must show a certificate that it signed. */
  readonly tls?: DoorTls;
  /** Whom of those `ca` is not enough for: a certificate must have one of these names. Left out, `ca` decides alone. */
  readonly allow?: readonly PeerRule[];
  /** Of a path: who may use it. Default: this user alone. */
  readonly socket?: SocketMode;
}

/** A connection whose other end is silent for `timeMs` is asked, and ended after `timeoutMs` without an answer. */
export interface KeepaliveOptions {
  readonly timeMs: number;
  readonly timeoutMs: number;
}

type Call<N extends MessageName> = ServerUnaryCall<Message<N>, object>;
type Stream = ServerDuplexStream<Message<'StreamMessageRequest'>, Init<'StreamMessageResponse'>>;

const REQUESTS = {
  Write: { kind: 'writing', message: 'WriteRequest' },
  SetForwardingPipelineConfig: { kind: 'writing', message: 'SetForwardingPipelineConfigRequest' },
  Read: { kind: 'reading', message: 'ReadRequest' },
  GetForwardingPipelineConfig: { kind: 'reading', message: 'GetForwardingPipelineConfigRequest' },
  Capabilities: { kind: 'reading', message: 'CapabilitiesRequest' },
  StreamChannel: { kind: 'stream', message: 'StreamMessageRequest' },
} as const;

const methodsOf = (service: ServiceDefinition): ReadonlyMap<string, Method> =>
  new Map(
    Object.entries(REQUESTS).map(([name, { kind, message }]) => {
      const definition = service[name]!;
      return [definition.path, { definition, kind, shape: shapeOf(messagePlan(`p4.v1.${message}`)) }];
    }),
  );

const asBytes = (value: Buffer): Buffer => value;

/** The service as grpc-js is to have it: bytes in and out, which `Admission` makes messages of. */
const inBytes = (service: ServiceDefinition): ServiceDefinition =>
  Object.fromEntries(
    Object.entries(service).map(([name, definition]) => [
      name,
      { ...definition, requestDeserialize: asBytes, responseSerialize: asBytes },
    ]),
  );

/** Devices behind one port: P4Runtime 1.4 over gRPC. */
export class P4RuntimeServer {
  readonly #server: Server;
  readonly #admission: Admission;
  readonly #doors: Door[] = [];
  readonly #devices = new Map<bigint, DeviceServer>();

  constructor({ keepalive = KEEPALIVE }: { readonly keepalive?: KeepaliveOptions } = {}) {
    const service = p4runtimeService();
    this.#admission = new Admission({
      methods: methodsOf(service),
      isPrimary: (peer) => [...this.#devices.values()].some((d) => d.arbitration.hasPrimaryOf(peer)),
    });
    this.#server = new Server({
      'grpc.max_receive_message_length': LIMITS.primary.bytes,
      'grpc.max_send_message_length': MAX_SEND_BYTES,
      'grpc.max_concurrent_streams': LIMITS.connectionCalls,
      'grpc.keepalive_time_ms': keepalive.timeMs,
      'grpc.keepalive_timeout_ms': keepalive.timeoutMs,
      'grpc-node.max_session_memory': LIMITS.sessionMegabytes,
      interceptors: [this.#admission.interceptor],
    });
    const implementation: UntypedServiceImplementation = {
      Write: (call: Call<'WriteRequest'>, reply: sendUnaryData<object>) =>
        answer(reply, () => this.#write(call.request, admittedOf(call).peer)),
      SetForwardingPipelineConfig: (
        call: Call<'SetForwardingPipelineConfigRequest'>,
        reply: sendUnaryData<object>,
      ) =>
        answer(reply, async () => {
          await this.#device(call.request.deviceId).setPipeline(call.request, admittedOf(call).peer);
          return {};
        }),
      GetForwardingPipelineConfig: (
        call: Call<'GetForwardingPipelineConfigRequest'>,
        reply: sendUnaryData<object>,
      ) => answer(reply, () => ({ config: this.#device(call.request.deviceId).getPipeline(call.request) })),
      Capabilities: (call: Call<'CapabilitiesRequest'>, reply: sendUnaryData<object>) =>
        answer(reply, () => {
          if (call.request.deviceId !== 0n) this.#device(call.request.deviceId);
          return { p4runtimeApiVersion: API_VERSION };
        }),
      Read: (call: ServerWritableStream<Message<'ReadRequest'>, Init<'ReadResponse'>>) =>
        void this.#read(call),
      StreamChannel: (call: Stream) => this.#stream(call),
    };
    this.#server.addService(inBytes(service), implementation);
  }

  /**
   * @param options.deviceId 1 or more: 0 names no device
   * @returns when the device has gone on from what it kept, if it keeps anything; requests wait for that
   */
  async addDevice(
    device: P4Device,
    options: Partial<DeviceServerOptions> & { readonly deviceId: bigint },
  ): Promise<void> {
    const server = new DeviceServer(device, { maxStreams: MAX_STREAMS, ...options });
    this.#devices.set(options.deviceId, server);
    if (device.restore !== undefined) await server.restore();
  }

  /** @returns the address, with the port that was taken. @throws Error, as `EADDRINUSE` */
  async listen({ address, tls, allow, socket }: P4RuntimeServerOptions): Promise<string> {
    const place = placeOf(address);
    this.#admission.rules = allow;
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    const door = new Door(tls, (connection) => injector.injectConnection(connection));
    const port = await door.open(place, socket);
    this.#doors.push(door);
    return address.replace(/:0$/, `:${port}`);
  }

  /** Forgets which election ids there were, and ends all streams: whoever bids next begins anew. */
  resetElections(): void {
    for (const device of this.#devices.values()) device.arbitration.reset();
  }

  /** Ends all streams at once; returns when the devices have done what was begun. */
  async close(): Promise<void> {
    for (const door of this.#doors) door.close();
    this.#server.forceShutdown();
    await Promise.all([...this.#devices.values()].map((device) => device.close()));
  }

  #device(deviceId: bigint): DeviceServer {
    const device = this.#devices.get(deviceId);
    if (device === undefined) throw notFound(`there is no device ${deviceId}`);
    return device;
  }

  async #write(request: Message<'WriteRequest'>, peer: Peer): Promise<object> {
    const errors = await this.#device(request.deviceId).write(request, peer);
    if (errors === undefined) return {};
    throw new PartialFailure(errors);
  }

  async #read(call: ServerWritableStream<Message<'ReadRequest'>, Init<'ReadResponse'>>): Promise<void> {
    try {
      const { found, errors } = await this.#device(call.request.deviceId).read(
        call.request,
        admittedOf(call).peer,
      );
      for (const entities of found) {
        if (call.cancelled) return;
        // One message at a time: a client that does not read is none to gather answers for.
        if (!call.write({ entities })) await drained(call);
      }
      if (errors === undefined) call.end();
      else call.emit('error', statusOf(new PartialFailure(errors)));
    } catch (error) {
      call.emit('error', statusOf(error));
    }
  }

  #stream(call: Stream): void {
    const { peer, cut } = admittedOf(call);
    let device: DeviceServer | undefined;
    let open = true;
    const controller: Controller = {
      peer,
      send: (message) => {
        if (!open) return;
        if (call.writableLength < LIMITS.queued) call.write(message);
        else {
          leave();
          cut();
        }
      },
      end: (fault) => end(fault),
    };
    const leave = (): void => {
      open = false;
      clearTimeout(unknown);
      device?.arbitration.leave(controller);
    };
    const end = (error: unknown): void => {
      if (!open) return;
      leave();
      call.emit('error', statusOf(error));
    };
    const unknown = setTimeout(
      () => end(new Fault(status.DEADLINE_EXCEEDED, 'no arbitration came')),
      LIMITS.arbitrationMs,
    );
    // One message at a time, in order: the answer to a packet must not overtake a bid, and who sends faster waits.
    const receive = async (message: Message<'StreamMessageRequest'>): Promise<void> => {
      if (!open) return;
      // The first bid names the device; a later one for another is that device's to refuse.
      if (message.arbitration !== undefined) device ??= this.#device(message.arbitration.deviceId);
      if (device === undefined)
        throw new Fault(status.FAILED_PRECONDITION, 'a stream begins with arbitration');
      await device.receive(controller, message);
      if (device.arbitration.has(controller)) clearTimeout(unknown);
    };
    let turn: Promise<void> = Promise.resolve();
    call.on('data', (message: Message<'StreamMessageRequest'>) => {
      call.pause();
      turn = turn.then(() => receive(message));
      turn.then(() => call.resume(), end);
    });
    call.on('end', () => {
      // What came before is still to be answered.
      void turn
        .catch(() => {})
        .then(leave)
        .then(() => call.end());
    });
    call.on('cancelled', leave);
    call.on('close', leave);
    call.on('error', leave);
  }
}

/** Until there is room for the next message, or nobody who would have it. */
const drained = (call: ServerWritableStream<unknown, unknown>): Promise<void> =>
  new Promise((resolve) => {
    call.once('drain', resolve);
    call.once('cancelled', resolve);
    call.once('close', resolve);
  });

function answer(reply: sendUnaryData<object>, work: () => object | Promise<object>): void {
  Promise.resolve()
    .then(work)
    .then(
      (value) => reply(null, value),
      (error: unknown) => reply(statusOf(error)),
    );
}
