import { ByteBuffer, SIZE_PREFIX_LENGTH } from 'flatbuffers';
import { refuse } from '../../diagnostics/index.ts';

/**
 * A table of a FlatBuffers file, read by field number (the order of the fields in the schema). The library trusts its
 * input; here every position is checked to lie in the file, so that a damaged one gives a message.
 *
 * @throws DiagnosticError `tflite-malformed`
 */
export class Table {
  readonly #bytes: ByteBuffer;
  readonly #file: string;
  readonly #at: number;

  constructor(bytes: ByteBuffer, file: string, at: number) {
    this.#bytes = bytes;
    this.#file = file;
    this.#at = this.#checked(at, 4);
    const vtable = at - bytes.readInt32(at);
    this.#checked(this.#checked(vtable, 2), bytes.readUint16(vtable));
  }

  static root(data: Uint8Array, file: string): Table {
    const bytes = new ByteBuffer(data);
    if (data.length < SIZE_PREFIX_LENGTH) malformed(file, 'it is too short for a table');
    return new Table(bytes, file, bytes.readUint32(0));
  }

  has(field: number): boolean {
    return this.#field(field, 1) !== undefined;
  }

  int8(field: number, absent: number): number {
    const at = this.#field(field, 1);
    return at === undefined ? absent : this.#bytes.readInt8(at);
  }

  bool(field: number, absent = false): boolean {
    return this.int8(field, absent ? 1 : 0) !== 0;
  }

  int32(field: number, absent: number): number {
    const at = this.#field(field, 4);
    return at === undefined ? absent : this.#bytes.readInt32(at);
  }

  /** 64 bits, where the value is small enough for a number. */
  uint64(field: number): number {
    const at = this.#field(field, 8);
    return at === undefined ? 0 : Number(this.#bytes.readUint64(at));
  }

  float32(field: number, absent: number): number {
    const at = this.#field(field, 4);
    return at === undefined ? absent : this.#bytes.readFloat32(at);
  }

  string(field: number): string {
    return new TextDecoder().decode(this.bytes(field) ?? new Uint8Array());
  }

  table(field: number): Table | undefined {
    const at = this.#field(field, 4);
    return at === undefined ? undefined : this.#follow(at);
  }

  tables(field: number): Table[] {
    return this.#elements(field, 4, (at) => this.#follow(at)) ?? [];
  }

  int32s(field: number): number[] | undefined {
    return this.#elements(field, 4, (at) => this.#bytes.readInt32(at));
  }

  int64s(field: number): number[] | undefined {
    return this.#elements(field, 8, (at) => Number(this.#bytes.readInt64(at)));
  }

  float32s(field: number): number[] | undefined {
    return this.#elements(field, 4, (at) => this.#bytes.readFloat32(at));
  }

  /** A view of the file. */
  bytes(field: number): Uint8Array | undefined {
    const vector = this.#vector(field, 1);
    return vector && this.slice(vector.at, vector.count);
  }

  /** `count` bytes of the file from `at` on. */
  slice(at: number, count: number): Uint8Array {
    return this.#bytes.bytes().subarray(this.#checked(at, count), at + count);
  }

  #field(field: number, size: number): number | undefined {
    const offset = this.#bytes.__offset(this.#at, 4 + 2 * field);
    return offset === 0 ? undefined : this.#checked(this.#at + offset, size);
  }

  #follow(at: number): Table {
    return new Table(this.#bytes, this.#file, at + this.#bytes.readUint32(at));
  }

  #vector(field: number, size: number): { at: number; count: number } | undefined {
    const place = this.#field(field, 4);
    if (place === undefined) return undefined;
    const at = this.#checked(place + this.#bytes.readUint32(place), 4);
    const count = this.#bytes.readUint32(at);
    return { at: this.#checked(at + 4, count * size), count };
  }

  #elements<T>(field: number, size: number, read: (at: number) => T): T[] | undefined {
    const vector = this.#vector(field, size);
    return vector && Array.from({ length: vector.count }, (_, i) => read(vector.at + i * size));
  }

  #checked(at: number, size: number): number {
    const end = this.#bytes.capacity();
    if (!(at >= 0 && size >= 0 && at + size <= end))
      malformed(this.#file, `a part of it lies at bytes ${at}..${at + size}, and it has ${end}`);
    return at;
  }
}

/** @throws DiagnosticError `tflite-malformed` */
export const malformed = (file: string, reason: string): never =>
  refuse('tflite-malformed', { reason }, { file });
