import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { defineService } from '../../p4runtime/index.ts';

const packet = {
  fields: {
    id: { type: 'uint64', id: 1 },
    deviceId: { type: 'uint64', id: 2 },
    port: { type: 'uint32', id: 3 },
    packet: { type: 'bytes', id: 4 },
  },
};
const stream = {
  requestType: 'PacketStreamRequest',
  requestStream: true,
  responseType: 'PacketStreamResponse',
  responseStream: true,
};
const messages = { PacketStreamRequest: packet, PacketStreamResponse: packet };
const own = { ...messages, DataplaneInterface: { methods: { PacketStream: stream } } };

/** BMv2's service that carries packets in and out of ports without interfaces (`p4.bm`, behavioral-model/services). */
const service = defineService(
  { nested: { p4: { nested: { bm: { nested: own } } } } },
  'p4.bm',
  'DataplaneInterface',
);

/** A packet at a port of the switch. */
export interface PortPacket {
  readonly port: number;
  readonly packet: Uint8Array;
}

/** The switch's ports as one stream. One client at a time. */
export class Dataplane {
  readonly #client: Client;
  readonly #stream: ClientDuplexStream<object, PortPacket>;
  readonly #deviceId: number;
  #receive: (packet: PortPacket) => void = () => {};
  #fail: (error: Error) => void = () => {};

  constructor(address: string, deviceId: number) {
    this.#deviceId = deviceId;
    this.#client = new Client(address, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 });
    const { path, requestSerialize, responseDeserialize } = service.PacketStream!;
    this.#stream = this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => PortPacket,
    );
    this.#stream.on('data', (message: PortPacket) => this.#receive(message));
    this.#stream.on('error', (error) => this.#fail(error));
  }

  /** Who gets the packets that leave the switch, and the news that the stream broke. */
  listen(receive: (packet: PortPacket) => void, fail: (error: Error) => void): void {
    this.#receive = receive;
    this.#fail = fail;
  }

  send(port: number, packet: Uint8Array): void {
    this.#stream.write({ deviceId: this.#deviceId, port, packet });
  }

  close(): void {
    this.#fail = () => {};
    this.#stream.cancel();
    this.#client.close();
  }
}
