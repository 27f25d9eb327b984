import { readSync, writeSync } from 'node:fs';
import { refuse } from '../diagnostics/index.ts';
import { readBytes } from '../files.ts';

/** Bytes of standard input that are read at most: it says no size beforehand. */
const MOST_PIPED_BYTES = 2 ** 28;

const CHUNK = 2 ** 20;

/** Standard input and standard output, as a file's name. */
export const STANDARD = '-';

/**
 * The bytes of a file, or the first `limit` of them; of standard input if its name is `-`.
 *
 * @throws DiagnosticError `file-unreadable`, `file-too-large`
 */
export function readBounded(file: string, limit = Number.POSITIVE_INFINITY): Buffer {
  if (file !== STANDARD) return readBytes(file, 'data', limit);
  const bad = (reason: string): never => refuse('file-unreadable', { reason }, { file: 'standard input' });
  try {
    const bytes = readAll(0, Math.min(limit, MOST_PIPED_BYTES + 1));
    return bytes.length > MOST_PIPED_BYTES ? bad(`it holds more than ${MOST_PIPED_BYTES} bytes`) : bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return bad((error as Error).message);
  }
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
