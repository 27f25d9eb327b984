/** A log of records, each of which is on disk when its call returns. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type AtomicFile, atomicFile } from './atomic-file.ts';

/**
 * A record: magic, length of the payload, kind (4 bytes each, little-endian), then 20 bytes of SHA-256 over the digest of the
 * record before it and all of this one; so a record that is missing, or of another file, is found. Behind the last one there
 * are zeros, so that a file that was cut off between two records is found too.
 */
const MAGIC = 0x474f4c49; // "ILOG"
const [DIGEST_BYTES, HEADER_BYTES, TAIL_BYTES] = [20, 32, 64];
/** Room that is made ahead of the records: writing into it changes no more than its own blocks. */
const ROOM_BYTES = 64 * 1024;
const MODE = 0o600;

/** A record: what kind it is, and its bytes. */
export interface LogRecord {
  readonly kind: number;
  readonly payload: Uint8Array;
}

/** What a log held when it was opened. */
export interface LogContents {
  /** From the first on, as far as they are what was written. */
  readonly records: readonly LogRecord[];
  /**
   * `tail`: what follows these records is not whole; it was being written when the machine stopped, or it was damaged or cut
   * off later. `lost`: so is what lies between them and others that are whole, or there are none.
   */
  readonly damage: 'tail' | 'lost' | undefined;
}

interface Position {
  /** Where the next record goes. */
  readonly end: number;
  readonly digest: Buffer;
  /** Bytes of the file. */
  readonly size: number;
}

/** An appending that failed, and could not be taken back either: the record may come back when the log is read. */
export class LogUncertainError extends Error {}

/** One file to which one process appends, one record at a time: a failed append leaves it as it was, or says that it may not. */
export class RecordLog {
  readonly #path: string;
  #file: FileHandle | undefined;
  #at: Position;
  /** Begin and digest of the last record. */
  #last: { readonly start: number; readonly before: Buffer } | undefined;

  private constructor(path: string, at: Position) {
    this.#path = path;
    this.#at = at;
  }

  /** @throws Error of the system call, ENOENT where there is none */
  static read(path: string): { readonly log: RecordLog; readonly contents: LogContents } {
    const bytes = readFileSync(path);
    const records: LogRecord[] = [];
    let end = 0;
    let digest: Buffer = ZERO_DIGEST;
    for (
      let found = recordAt(bytes, end, digest);
      found !== undefined;
      found = recordAt(bytes, end, digest)
    ) {
      records.push(found.record);
      end = found.end;
      digest = found.digest;
    }
    const rest = bytes.subarray(end);
    const isWhole = rest.length >= TAIL_BYTES && rest.every((byte) => byte === 0);
    const damage = isWhole ? undefined : records.length === 0 || hasRecord(rest) ? 'lost' : 'tail';
    return { log: new RecordLog(path, { end, digest, size: bytes.length }), contents: { records, damage } };
  }

  /** A new file that takes the place of an old one by `commit`. @throws Error of the system call */
  static create(
    path: string,
    records: readonly LogRecord[],
  ): { readonly file: AtomicFile; readonly log: RecordLog } {
    const { bytes, digest } = encode(records, ZERO_DIGEST);
    const room = Buffer.alloc(TAIL_BYTES);
    const file = atomicFile(path, Buffer.concat([bytes, room]), { mode: MODE });
    const size = bytes.length + room.length;
    return { file, log: new RecordLog(path, { end: bytes.length, digest, size }) };
  }

  /** Of all records. */
  get bytes(): number {
    return this.#at.end;
  }

  /**
   * Returns when the record is on disk.
   * @throws Error of the system call: the log is then as before. LogUncertainError where that cannot be said
   */
  async append(record: LogRecord): Promise<void> {
    const { end, digest } = this.#at;
    await this.#write(record, end, digest);
    this.#last = { start: end, before: digest };
  }

  /** Puts a record in place of the last one, which this object has appended. @throws as `append` */
  async replaceLast(record: LogRecord): Promise<void> {
    if (this.#last === undefined) throw new Error('nothing was appended');
    const { start, before } = this.#last;
    await this.#write(record, start, before);
  }

  async #write(record: LogRecord, start: number, before: Buffer): Promise<void> {
    const { bytes, digest } = encode([record], before);
    // A shorter one covers what it replaces.
    const covered = Buffer.alloc(Math.max(bytes.length, this.#at.end - start));
    bytes.copy(covered);
    const end = start + bytes.length;
    const file = await this.#open();
    await this.#makeRoom(file, end + TAIL_BYTES);
    try {
      await writeAll(file, covered, start);
      await file.datasync();
    } catch (error) {
      await this.#takeBack(file, start, before, covered.length, error);
      throw error;
    }
    this.#at = { ...this.#at, end, digest };
  }

  /** The disk may have taken it, though it said otherwise. @throws LogUncertainError */
  async #takeBack(
    file: FileHandle,
    start: number,
    before: Buffer,
    length: number,
    cause: unknown,
  ): Promise<void> {
    try {
      await writeAll(file, Buffer.alloc(length), start);
      await file.datasync();
      this.#at = { ...this.#at, end: start, digest: before };
      this.#last = undefined;
    } catch {
      throw new LogUncertainError(cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }

  /** Zeros up to there at least. @throws Error of the system call, where there is not even that */
  async #makeRoom(file: FileHandle, least: number): Promise<void> {
    const { size } = this.#at;
    if (least <= size) return;
    for (const target of [least + ROOM_BYTES, least])
      try {
        await writeAll(file, Buffer.alloc(target - size), size);
        this.#at = { ...this.#at, size: target };
        return;
      } catch (error) {
        // What is behind the end does not count: zeros, or the beginning of them.
        await file.truncate(size).catch(() => {});
        if (target === least) throw error;
      }
  }

  async #open(): Promise<FileHandle> {
    this.#file ??= await open(this.#path, 'r+');
    return this.#file;
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }
}

const ZERO_DIGEST = Buffer.alloc(DIGEST_BYTES);

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}

function encode(
  records: readonly LogRecord[],
  before: Buffer,
): { readonly bytes: Buffer; readonly digest: Buffer } {
  let digest = before;
  const parts = records.flatMap(({ kind, payload }) => {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(MAGIC, 0);
    header.writeUInt32LE(payload.length, 4);
    header.writeUInt32LE(kind, 8);
    digest = digestOf(digest, header, payload);
    digest.copy(header, 12);
    return [header, payload];
  });
  return { bytes: Buffer.concat(parts), digest };
}

const digestOf = (before: Buffer, header: Buffer, payload: Uint8Array): Buffer =>
  createHash('sha256')
    .update(before)
    .update(header.subarray(0, 12))
    .update(payload)
    .digest()
    .subarray(0, DIGEST_BYTES);

function recordAt(bytes: Buffer, start: number, before: Buffer) {
  if (start + HEADER_BYTES > bytes.length || bytes.readUInt32LE(start) !== MAGIC) return undefined;
  const end = start + HEADER_BYTES + bytes.readUInt32LE(start + 4);
  if (end > bytes.length) return undefined;
  const header = bytes.subarray(start, start + HEADER_BYTES);
  const payload = bytes.subarray(start + HEADER_BYTES, end);
  const digest = digestOf(before, header, payload);
  if (!digest.equals(header.subarray(12))) return undefined;
  return { record: { kind: header.readUInt32LE(8), payload }, end, digest };
}

/** Whether there is one that follows another whose digest is there: one after it is not enough to tell it from a torn one. */
function hasRecord(bytes: Buffer): boolean {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(MAGIC);
  for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 1)) {
    if (at + HEADER_BYTES > bytes.length) return false;
    const next = at + HEADER_BYTES + bytes.readUInt32LE(at + 4);
    if (
      next <= bytes.length &&
      recordAt(bytes, next, bytes.subarray(at + 12, at + HEADER_BYTES)) !== undefined
    )
      return true;
  }
  return false;
}
