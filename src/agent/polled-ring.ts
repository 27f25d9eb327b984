import { type BpfMap, RingBuffer } from '../bpf/index.ts';

/** A ring buffer that is looked into every so many ms. What was left in it from before is nobody's news. */
export class PolledRing {
  readonly #ring: RingBuffer;
  readonly #timer: NodeJS.Timeout;
  #fresh = true;

  constructor(map: BpfMap, pollMs: number, tell: (record: Buffer) => void) {
    this.#ring = new RingBuffer(map, (record) => {
      if (!this.#fresh) tell(record);
    });
    this.#ring.consume();
    this.#fresh = false;
    this.#timer = setInterval(() => this.#ring.consume(), pollMs);
    this.#timer.unref();
  }

  /** Tells what has come since the last look. */
  consume(): void {
    this.#ring.consume();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#ring.close();
  }
}
