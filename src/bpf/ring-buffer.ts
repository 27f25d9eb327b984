import { KernelCallError } from './errors.ts';
import type { BpfMap } from './map.ts';
import { libbpf, type Pointer } from './native.ts';

/** The reading end of a BPF ring buffer. */
export class RingBuffer implements Disposable {
  #ring: Pointer | undefined;
  readonly #callback: Pointer;

  /** @param onRecord gets a copy of each record */
  constructor(map: BpfMap, onRecord: (record: Buffer) => void) {
    const lib = libbpf();
    this.#callback = lib.registerSample((_ctx, data, size) => {
      const record = Buffer.alloc(Number(size));
      lib.copyMemory(record, data, record.length);
      onRecord(record);
      return 0;
    });
    const ring = lib.ringBufferNew(map.fd, this.#callback, null, null);
    if (ring === null) {
      const errno = lib.errno();
      lib.unregister(this.#callback);
      throw new KernelCallError(`read ring buffer "${map.info.name}"`, errno, 'pass a map of type RINGBUF');
    }
    this.#ring = ring;
  }

  /** Hands on what is there. @returns how many records */
  consume(): number {
    return this.#ring === undefined ? 0 : libbpf().ringBufferConsume(this.#ring);
  }

  close(): void {
    if (this.#ring === undefined) return;
    libbpf().ringBufferFree(this.#ring);
    libbpf().unregister(this.#callback);
    this.#ring = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
