import { closeSync, fstatSync, openSync, readSync, type Stats, writeSync } from 'node:fs';
import { refuse } from '../diagnostics/index.ts';

/** Bytes of rows that are read at most: more than any command computes in an hour. */
export const MOST_BYTES = 2 ** 30;

/** Of what has no size beforehand, such as a pipe. */
const MOST_PIPED_BYTES = 2 ** 28;

const CHUNK = 2 ** 20;

/** Standard input and standard output, as a file's name. */
export const STANDARD = '-';

/**
 * The bytes of a file, or the first `limit` of them; of standard input if its name is `-`. Pipes are read as files are;
 * devices are refused, since `/dev/zero` has no end.
 *
 * @throws DiagnosticError `file-unreadable`
 */
export function readBounded(file: string, limit = Number.POSITIVE_INFINITY): Buffer {
  const bad = (reason: string): never => refuse('file-unreadable', { reason }, { file });
  let descriptor: number | undefined;
  try {
    descriptor = file === STANDARD ? 0 : openSync(file, 'r');
    const stats = fstatSync(descriptor);
    if (stats.isDirectory()) return bad('it is a folder');
    if (!isStream(stats) && !stats.isFile()) return bad('it is a device, not a file');
    const most = stats.isFile() ? MOST_BYTES : MOST_PIPED_BYTES;
    const wanted = Math.min(limit, most + 1);
    const bytes =
      stats.isFile() && file !== STANDARD ? readFile(descriptor, wanted) : readAll(descriptor, wanted);
    if (bytes.length > most) return bad(`it holds more than ${most} bytes`);
    return bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return bad((error as Error).message);
  } finally {
    if (descriptor !== undefined && descriptor !== 0) closeSync(descriptor);
  }
}

const isStream = (stats: Stats): boolean => stats.isFIFO() || stats.isSocket();

function readFile(descriptor: number, wanted: number): Buffer {
  const bytes = Buffer.alloc(Math.min(wanted, fstatSync(descriptor).size));
  let length = 0;
  while (length < bytes.length) {
    const got = readSync(descriptor, bytes, length, bytes.length - length, length);
    if (got === 0) break;
    length += got;
  }
  return bytes.subarray(0, length);
}

/** To the end of a stream, in pieces. */
function readAll(descriptor: number, wanted: number): Buffer {
  const pieces: Buffer[] = [];
  for (let left = wanted; left > 0; ) {
    const piece = Buffer.alloc(Math.min(CHUNK, left));
    const got = readPiece(descriptor, piece);
    if (got === 0) break;
    pieces.push(piece.subarray(0, got));
    left -= got;
  }
  return Buffer.concat(pieces);
}

const readPiece = (descriptor: number, piece: Buffer): number =>
  patiently(() => readSync(descriptor, piece, 0, piece.length, null));

/** All bytes to standard output, before the process goes on. @throws DiagnosticError `file-unwritable` */
export function writeStandard(content: string | Uint8Array): void {
  const bytes = Buffer.from(content);
  try {
    for (let at = 0; at < bytes.length; ) at += patiently(() => writeSync(1, bytes, at));
  } catch (error) {
    refuse('file-unwritable', { reason: (error as Error).message }, { file: 'standard output' });
  }
}

/** A pipe that does not block says EAGAIN when it is empty or full. */
function patiently(work: () => number): number {
  for (;;) {
    try {
      return work();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
