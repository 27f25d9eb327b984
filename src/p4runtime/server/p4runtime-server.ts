import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Init, Message, MessageName } from '../proto/messages.ts';
import { p4runtimeService, type TlsOptions } from '../rpc.ts';
import type { Controller } from './arbitration.ts';
import { PartialFailure, statusOf } from './batch-status.ts';
import type { P4Device } from './device.ts';
import { DeviceServer, type DeviceServerOptions } from './device-server.ts';
import { Fault, notFound } from './fault.ts';

/** What this server speaks; 1.5's additions are taken where they have their defaults. */
export const API_VERSION = '1.4.1';

const MAX_MESSAGE_BYTES = 256 * 2 ** 20;
const MAX_STREAMS = 16;

export interface P4RuntimeServerOptions {
  /** `host:port` (port 0 takes a free one), or `unix:/path`. */
  readonly address: string;
  /** PEM texts; with `ca` clients must show a certificate that it signed. */
  readonly tls?: Required<Pick<TlsOptions, 'cert' | 'key'>> & Pick<TlsOptions, 'ca'>;
}

type Call<N extends MessageName> = ServerUnaryCall<Message<N>, object>;
type Stream = ServerDuplexStream<Message<'StreamMessageRequest'>, Init<'StreamMessageResponse'>>;

/** Devices behind one port: P4Runtime 1.4 over gRPC. */
export class P4RuntimeServer {
  readonly #server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  });
  readonly #devices = new Map<bigint, DeviceServer>();

  constructor() {
    const implementation: UntypedServiceImplementation = {
      Write: (call: Call<'WriteRequest'>, reply: sendUnaryData<object>) =>
        answer(reply, () => this.#write(call.request)),
      SetForwardingPipelineConfig: (
        call: Call<'SetForwardingPipelineConfigRequest'>,
        reply: sendUnaryData<object>,
      ) =>
        answer(reply, async () => {
          await this.#device(call.request.deviceId).setPipeline(call.request);
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
    this.#server.addService(p4runtimeService, implementation);
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

  /** @returns the address, with the port that was taken */
  listen({ address, tls }: P4RuntimeServerOptions): Promise<string> {
    const pem = (bytes: Uint8Array) => Buffer.from(bytes);
    const credentials =
      tls === undefined
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(
            tls.ca === undefined ? null : pem(tls.ca),
            [{ cert_chain: pem(tls.cert), private_key: pem(tls.key) }],
            tls.ca !== undefined,
          );
    return new Promise((resolve, reject) =>
      this.#server.bindAsync(address, credentials, (error, port) =>
        error === null ? resolve(address.replace(/:0$/, `:${port}`)) : reject(error),
      ),
    );
  }

  /** Ends all streams at once; returns when the devices have done what was begun. */
  async close(): Promise<void> {
    this.#server.forceShutdown();
    await Promise.all([...this.#devices.values()].map((device) => device.close()));
  }

  #device(deviceId: bigint): DeviceServer {
    const device = this.#devices.get(deviceId);
    if (device === undefined) throw notFound(`there is no device ${deviceId}`);
    return device;
  }

  async #write(request: Message<'WriteRequest'>): Promise<object> {
    const errors = await this.#device(request.deviceId).write(request);
    if (errors === undefined) return {};
    throw new PartialFailure(errors);
  }

  async #read(call: ServerWritableStream<Message<'ReadRequest'>, Init<'ReadResponse'>>): Promise<void> {
    try {
      const device = this.#device(call.request.deviceId);
      const errors = await device.read(call.request, (entities) => call.write({ entities }));
      if (errors === undefined) call.end();
      else call.emit('error', statusOf(new PartialFailure(errors)));
    } catch (error) {
      call.emit('error', statusOf(error));
    }
  }

  #stream(call: Stream): void {
    let device: DeviceServer | undefined;
    let open = true;
    const controller: Controller = { send: (message) => open && call.write(message) };
    const leave = (): void => {
      open = false;
      device?.arbitration.leave(controller);
    };
    const end = (error: unknown): void => {
      if (!open) return;
      leave();
      call.emit('error', statusOf(error));
    };
    // One message at a time, in order: the answer to a packet must not overtake a bid.
    let turn: Promise<void> = Promise.resolve();
    call.on('data', (message: Message<'StreamMessageRequest'>) => {
      turn = turn.then(async () => {
        if (!open) return;
        // The first bid names the device; a later one for another is that device's to refuse.
        if (message.arbitration !== undefined) device ??= this.#device(message.arbitration.deviceId);
        if (device === undefined)
          throw new Fault(status.FAILED_PRECONDITION, 'a stream begins with arbitration');
        await device.receive(controller, message);
      });
      turn.catch(end);
    });
    call.on('end', () => {
      leave();
      call.end();
    });
    call.on('cancelled', leave);
    call.on('close', leave);
    call.on('error', leave);
  }
}

function answer(reply: sendUnaryData<object>, work: () => object | Promise<object>): void {
  Promise.resolve()
    .then(work)
    .then(
      (value) => reply(null, value),
      (error: unknown) => reply(statusOf(error)),
    );
}
