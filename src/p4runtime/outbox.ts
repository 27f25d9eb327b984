import { type ServiceError, status } from '@grpc/grpc-js';
import { P4RuntimeError } from './errors.ts';
import type { Init } from './proto/messages.ts';
import { v1Codec } from './proto/registry.ts';
import type { Stream } from './rpc.ts';
import { rpcFailure } from './rpc-errors.ts';

const codec = v1Codec('StreamMessageRequest');

/** Messages to the device that are not yet on their way. */
export class Outbox {
  /** What each of them is waited for by, and what ends that. */
  readonly #waiting = new Map<Promise<void>, (error: P4RuntimeError) => void>();

  /** @throws RangeError, TypeError on a message that cannot be serialised */
  send(stream: Stream, message: Init<'StreamMessageRequest'>): Promise<void> {
    const bytes = codec.encode(message) as Buffer;
    let fail: (error: P4RuntimeError) => void = () => {};
    const sent = new Promise<void>((resolve, reject) => {
      fail = reject;
      stream.write(bytes, (error: ServiceError | Error | null | undefined) => {
        this.#waiting.delete(sent);
        if (error === null || error === undefined) resolve();
        else
          reject(
            rpcFailure(
              'StreamChannel',
              'code' in error ? error.code : status.UNAVAILABLE,
              error.message,
              error,
            ),
          );
      });
    });
    this.#waiting.set(sent, fail);
    // Nobody has to wait for it.
    sent.catch(() => {});
    return sent;
  }

  async flush(): Promise<void> {
    await Promise.all(this.#waiting.keys());
  }

  /** Messages that are not yet on their way. */
  get length(): number {
    return this.#waiting.size;
  }

  /** The stream is gone, and these with it. */
  clear(): void {
    const message = 'the stream ended before the message was sent';
    for (const fail of this.#waiting.values())
      fail(
        new P4RuntimeError({
          kind: 'stream-ended',
          call: 'StreamChannel',
          code: status.UNAVAILABLE,
          message,
        }),
      );
    this.#waiting.clear();
  }
}

/**
 * Ends our side behind the last message, and waits until the device has ended its own.
 * @param timeoutMs longest time without progress: nothing more is waited for then
 */
export function endStream(stream: Stream, outbox: Outbox, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const done = (): void => {
      clearTimeout(timer);
      stream.cancel();
      resolve();
    };
    const watch = (before: number): void => {
      timer = setTimeout(() => (outbox.length < before ? watch(outbox.length) : done()), timeoutMs);
    };
    watch(outbox.length);
    stream.removeAllListeners('data');
    stream.removeAllListeners('end');
    stream.on('error', done);
    stream.on('end', done);
    // The device's end stands behind what it has still to say.
    stream.resume();
    stream.end();
  });
}
