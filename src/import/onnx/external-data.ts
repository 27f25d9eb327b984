import { closeSync, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { type Place, refuse } from '../../diagnostics/index.ts';
import type { OnnxTensor } from './proto.ts';

/** Most bytes of one tensor: far more than any model that fits a device. */
const MOST_BYTES = 2 ** 28;

/**
 * The bytes of a tensor that the model keeps in a file beside it. Only files in the model's own folder are read, or below it:
 * no other path, and no link that leads elsewhere.
 *
 * @throws DiagnosticError `onnx-external-data`
 */
export function readExternal(tensor: OnnxTensor, place: Place): Uint8Array {
  const entry = (key: string) => tensor.externalData.find((e) => e.key === key)?.value;
  const bad = (reason: string): never => refuse('onnx-external-data', { reason }, place);
  const location = entry('location');
  if (location === undefined || location === '') return bad('names no file');
  const folder = dirname(place.file ?? '.');
  const file = join(folder, location);
  if (isAbsolute(location) || isOutside(relative(folder, file)))
    return bad(`is in ${location}, which is not in the folder of the model`);
  const offset = Number(entry('offset') ?? 0);
  const length = entry('length') === undefined ? undefined : Number(entry('length'));
  if (![offset, length ?? 0].every((n) => Number.isSafeInteger(n) && n >= 0))
    return bad(`has offset ${entry('offset')} and length ${entry('length')}`);
  try {
    if (isOutside(relative(realpathSync(folder), realpathSync(file))))
      return bad(`is in ${location}, a link that leads out of the folder of the model`);
    return readPart(file, offset, length, bad);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && 'syscall' in error)) throw error;
    return bad(`is in ${location}, which cannot be read (${String(error.code)})`);
  }
}

const isOutside = (path: string): boolean => path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path);

function readPart(
  file: string,
  offset: number,
  length: number | undefined,
  bad: (reason: string) => never,
): Uint8Array {
  const descriptor = openSync(file, 'r');
  try {
    const state = fstatSync(descriptor);
    if (!state.isFile()) return bad('is in something that is no file');
    const bytes = length ?? state.size - offset;
    if (bytes < 0 || offset + bytes > state.size)
      return bad(`is bytes ${offset} to ${offset + bytes} of a file of ${state.size}`);
    if (bytes > MOST_BYTES) return bad(`has ${bytes} bytes, at most ${MOST_BYTES} are read`);
    const buffer = new Uint8Array(bytes);
    for (let at = 0; at < bytes; ) {
      const read = readSync(descriptor, buffer, at, bytes - at, offset + at);
      if (read === 0) return bad(`ends after ${at} of ${bytes} bytes`);
      at += read;
    }
    return buffer;
  } finally {
    closeSync(descriptor);
  }
}
