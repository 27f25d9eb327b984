import type { TfliteRounding } from '../../model/tflite-rounding.ts';
import type { RuntimeRounding } from '../result.ts';
import { Table } from './flatbuffer.ts';

/** Metadata of converters since TensorFlow 2.9: a FlatBuffers table of its own (`conversion_metadata.fbs`). */
const CONVERSION_METADATA = 'CONVERSION_METADATA';

/** TensorFlow's kernels round once from this version on. */
const SINGLE_SINCE = [2, 20] as const;

/** `2.21.0`: the TensorFlow whose converter wrote the file, where it says so. @throws DiagnosticError if that part is damaged */
export function converterVersion(root: Table, buffers: readonly Table[], file: string): string | undefined {
  const entry = root.tables(6).find((metadata) => metadata.string(0) === CONVERSION_METADATA);
  const data = buffers[entry?.int32(1, 0) ?? -1]?.bytes(0);
  if (data === undefined) return undefined;
  const version = Table.root(data, file).table(0)?.string(0);
  return version === '' ? undefined : version;
}

/**
 * The rounding that was asked for, or that of the runtime which the file suggests: a file made by TensorFlow 2.20 or later is
 * for kernels that round once; an older one, or one that does not tell, for those that round twice.
 */
export function runtimeRounding(version: string | undefined, asked?: TfliteRounding): RuntimeRounding {
  if (asked !== undefined) return { kind: asked, because: 'by --tflite-rounding' };
  if (version === undefined) return { kind: 'double', because: 'as the file does not name its converter' };
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isNew = major > SINGLE_SINCE[0] || (major === SINGLE_SINCE[0] && minor >= SINGLE_SINCE[1]);
  return { kind: isNew ? 'single' : 'double', because: `as TensorFlow ${version} converted the file` };
}
