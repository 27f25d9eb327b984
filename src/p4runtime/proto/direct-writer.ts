import protobuf from 'protobufjs/minimal.js';

const FIRST_BYTES = 2 ** 16;
/** A larger buffer is given back: one long message is no reason to keep its size for good. */
const KEPT_BYTES = 2 ** 20;
/** Fewer bytes than this are copied faster one by one. */
const FEW_BYTES = 32;
const LONGEST_VARINT = 10;

/**
 * A writer for the encoders of protobufjs that puts bytes where they belong at once. Its own gathers an object for each
 * number and string first, which is most of the time and of the garbage of a long Write.
 */
export class DirectWriter extends protobuf.Writer {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #at = 0;
  /** Where the lengths of the messages that are being written stand; each has one byte reserved. */
  readonly #open: number[] = [];

  override uint32(value: number): this {
    this.#reserve(LONGEST_VARINT);
    let rest = value >>> 0;
    for (; rest > 0x7f; rest >>>= 7) this.#buffer[this.#at++] = (rest & 0x7f) | 0x80;
    this.#buffer[this.#at++] = rest;
    return this;
  }

  /** Negative ones as 64 bits, as the wire format has it. */
  override int32(value: number): this {
    return value < 0 ? this.uint64(BigInt(value)) : this.uint32(value);
  }

  override uint64(value: bigint | Parameters<protobuf.Writer['uint64']>[0]): this {
    const few = typeof value === 'number' || typeof value === 'bigint';
    if (few && value >= 0 && value <= 0xffff_ffff) return this.uint32(Number(value));
    this.#reserve(LONGEST_VARINT);
    let rest = BigInt.asUintN(64, BigInt(typeof value === 'object' ? value.toString() : value));
    for (; rest > 0x7fn; rest >>= 7n) this.#buffer[this.#at++] = Number(rest & 0x7fn) | 0x80;
    this.#buffer[this.#at++] = Number(rest);
    return this;
  }

  override int64(value: bigint | Parameters<protobuf.Writer['int64']>[0]): this {
    return this.uint64(value);
  }

  override bool(value: boolean): this {
    return this.uint32(value ? 1 : 0);
  }

  override bytes(value: Uint8Array | string): this {
    if (typeof value === 'string') return this.bytes(Buffer.from(value, 'base64'));
    const { length } = value;
    this.uint32(length);
    this.#reserve(length);
    if (length < FEW_BYTES) for (let i = 0; i < length; i++) this.#buffer[this.#at + i] = value[i]!;
    else this.#buffer.set(value, this.#at);
    this.#at += length;
    return this;
  }

  override string(value: string): this {
    const length = Buffer.byteLength(value, 'utf8');
    this.uint32(length);
    this.#reserve(length);
    this.#at += this.#buffer.write(value, this.#at, length, 'utf8');
    return this;
  }

  override fork(): this {
    this.#reserve(1);
    this.#open.push(this.#at++);
    return this;
  }

  /** Puts the length before what was written since `fork`, and moves that up where one byte does not hold it. */
  override ldelim(): this {
    const start = this.#open.pop()!;
    const length = this.#at - start - 1;
    let more = 0;
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) more++;
    // Of a buffer that grows only what was written comes along, so it grows before the place goes back.
    this.#reserve(LONGEST_VARINT);
    if (more > 0) this.#buffer.copyWithin(start + 1 + more, start + 1, this.#at);
    this.#at = start;
    this.uint32(length);
    this.#at += length;
    return this;
  }

  override reset(): this {
    this.#at = 0;
    this.#open.length = 0;
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.allocUnsafe(FIRST_BYTES);
    return this;
  }

  /** A copy of what was written; the writer can be used anew. */
  override finish(): Buffer {
    const written = Buffer.from(this.#buffer.subarray(0, this.#at));
    this.reset();
    return written;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}
