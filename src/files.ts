import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { DiagnosticError, refuse } from './diagnostics/index.ts';
import { messageOf, replaceFile } from './durable/index.ts';

const MIB = 2 ** 20;

/** What a file is read for, and the most bytes that it may have. What is larger than any of its kind is some other file. */
const mostBytes = {
  /** ONNX, TFLite, or JSON of layers. */
  model: 512 * MIB,
  /** A float model that answers behind an early exit; protobuf ends at 2 GiB. */
  largeModel: 2048 * MIB - 1,
  /** Deployments, topologies, plans, manifests. */
  document: 32 * MIB,
  /** Certificates and keys. */
  pem: MIB,
  p4info: 64 * MIB,
  /** Rows, and whatever else is data: more than any command computes in an hour. */
  data: 1024 * MIB,
} as const;

type FileKind = keyof typeof mostBytes;

/**
 * Reads a regular file, at most as much as its kind may have. Devices, pipes and folders are refused at once: they would
 * block, or never end.
 * @param first read no more than so many bytes
 * @throws DiagnosticError `file-unreadable`, `file-too-large`
 */
export function readBytes(file: string, kind: FileKind = 'data', first = Number.POSITIVE_INFINITY): Buffer {
  let descriptor: number | undefined;
  try {
    refuseOther(statSync(file), file);
    // The name may stand for something else by now: a pipe that nobody writes to must not hold the program up.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(descriptor);
    refuseOther(stats, file);
    if (first < stats.size) return readFirst(descriptor, first);
    return (
      readUpTo(descriptor, stats.size, mostBytes[kind]) ??
      refuse('file-too-large', { kind, most: mostBytes[kind] }, { file })
    );
  } catch (error) {
    if (error instanceof DiagnosticError) throw error;
    return refuse('file-unreadable', { reason: messageOf(error) }, { file });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** @throws DiagnosticError as `readBytes` */
export const readText = (file: string, kind: FileKind = 'document'): string =>
  readBytes(file, kind).toString('utf8');

function refuseOther(stats: Stats, file: string): void {
  if (stats.isFile()) return;
  refuse('file-unreadable', { reason: `it is ${whatItIs(stats)}, not a file` }, { file });
}

function whatItIs(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory (EISDIR)';
  if (stats.isFIFO()) return 'a named pipe';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

function readFirst(descriptor: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  let length = 0;
  while (length < bytes) {
    const read = readSync(descriptor, buffer, length, bytes - length, length);
    if (read === 0) break;
    length += read;
  }
  return buffer.subarray(0, length);
}

/** All bytes, `undefined` if they are more than `most`. The size is what the system said; some files are longer than that. */
function readUpTo(descriptor: number, size: number, most: number): Buffer | undefined {
  if (size > most) return undefined;
  let bytes = Buffer.allocUnsafe(size + 1);
  let length = 0;
  for (;;) {
    const read = readSync(descriptor, bytes, length, bytes.length - length, null);
    length += read;
    if (length > most) return undefined;
    if (read === 0) return bytes.subarray(0, length);
    if (length === bytes.length) bytes = Buffer.concat([bytes, Buffer.allocUnsafe(bytes.length + 65_536)]);
  }
}

/**
 * Writes a file whole or not at all, to disk. A device or a pipe is written to, and stays what it is.
 * @param mode default that of any new file
 * @throws DiagnosticError `file-unwritable`
 */
export function writeWhole(file: string, content: string | Uint8Array, mode?: number): void {
  try {
    const stats = statSync(file, { throwIfNoEntry: false });
    if (stats !== undefined && !stats.isFile() && !stats.isDirectory()) writeInto(file, content);
    else replaceFile(file, content, mode === undefined ? {} : { mode });
  } catch (error) {
    refuse('file-unwritable', { reason: messageOf(error) }, { file });
  }
}

/** Without waiting for somebody to read it: then it fails at once. */
function writeInto(file: string, content: string | Uint8Array): void {
  const trial = openSync(file, constants.O_WRONLY | constants.O_NONBLOCK);
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, constants.O_WRONLY);
    writeFileSync(descriptor, content);
  } finally {
    for (const open of [descriptor, trial]) if (open !== undefined) closeSync(open);
  }
}
