import { status } from '@grpc/grpc-js';
import { exhausted, Fault } from './fault.ts';

/** Flag and length of gRPC's messages. */
const PREFIX_BYTES = 5;

/**
 * Follows the messages of one call while their bytes come in. grpc-js has one limit for all calls, and unpacks what is
 * compressed before it asks anybody; this one knows who sends, and looks at the prefix of each message first.
 */
export class Incoming {
  readonly #mostBytes: number;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixLength = 0;
  /** Bytes of the message that are still to come. */
  #left = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** @throws Fault with which the call is to end */
  take(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, chunk.length - at);
        this.#left -= step;
        at += step;
        continue;
      }
      this.#prefix[this.#prefixLength++] = chunk[at++]!;
      if (this.#prefixLength < PREFIX_BYTES) continue;
      this.#prefixLength = 0;
      if (this.#prefix[0] !== 0)
        throw new Fault(status.UNIMPLEMENTED, 'compressed messages are not accepted: send them as they are');
      this.#left = this.#prefix.readUInt32BE(1);
      if (this.#left > this.#mostBytes)
        throw exhausted(`a message of ${this.#left} bytes: at most ${this.#mostBytes} are taken here`);
    }
  }
}
