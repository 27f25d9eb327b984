const FIRST_BYTES = 4_096;
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * Writes protobuf from the end to the beginning: when the length of a message is to be written, the message is there
 * already, so nothing is measured first and nothing is copied but on growth. Callers write everything in reverse.
 */
export class BackwardWriter {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #at = FIRST_BYTES;

  /** Bytes written. */
  get length(): number {
    return this.#buffer.length - this.#at;
  }

  finish(): Buffer {
    return this.#buffer.subarray(this.#at);
  }

  /** An unsigned number below 2^53. */
  varint(value: number): void {
    if (value < 0x80) {
      this.#room(1);
      this.#buffer[--this.#at] = value;
      return;
    }
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
    this.#room(size);
    this.#at -= size;
    let rest = value;
    for (let i = 0; i < size - 1; i++) {
      this.#buffer[this.#at + i] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#at + size - 1] = rest;
  }

  /** A 64-bit number in two's complement. @throws RangeError on what 64 bits do not hold */
  wide(value: number | bigint, signed: boolean): void {
    if (value >= 0 && value <= Number.MAX_SAFE_INTEGER) {
      this.varint(Number(value));
      return;
    }
    const big = BigInt(value);
    const cut = BigInt.asUintN(64, big);
    if ((signed ? BigInt.asIntN(64, big) : cut) !== big)
      throw new RangeError(`${big} does not fit ${signed ? 'int64' : 'uint64'}`);
    const bytes: number[] = [];
    let rest = cut;
    for (; rest > MAX_SAFE; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    // The high part first, as it stands behind.
    this.varint(Number(rest));
    this.#room(bytes.length);
    this.#at -= bytes.length;
    for (let i = 0; i < bytes.length; i++) this.#buffer[this.#at + i] = bytes[i]!;
  }

  /** Bytes with their length before them. */
  bytes(value: Uint8Array): void {
    const size = value.length;
    this.#room(size);
    this.#at -= size;
    if (size > 16) this.#buffer.set(value, this.#at);
    else for (let i = 0; i < size; i++) this.#buffer[this.#at + i] = value[i]!;
    this.varint(size);
  }

  #room(size: number): void {
    if (size <= this.#at) return;
    const used = this.length;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, used + size + FIRST_BYTES));
    this.#buffer.copy(larger, larger.length - used, this.#at);
    this.#at = larger.length - used;
    this.#buffer = larger;
  }
}
