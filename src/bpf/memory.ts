import { libbpf, type Pointer } from './native.ts';

/** Bytes whose address may be stored in a C struct. */
export interface StableMemory {
  readonly bytes: Buffer;
  readonly address: Pointer;
}

/**
 * Zeroed memory at an address that stays, for as long as the result is referenced: an ArrayBuffer made on its own
 * lies outside V8's moving heap (a small typed array may lie in it). There is nothing to free, so a view of it that a
 * caller kept can never dangle, as one of memory from malloc would. The pages of a large block cost nothing until used.
 */
export function allocate(size: number): StableMemory {
  const bytes = Buffer.from(new ArrayBuffer(size));
  return { bytes, address: libbpf().address(bytes) };
}

/** The text up to the first NUL byte. */
export function readCString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

/** `bpf_obj_get_info_by_fd`: the first `size` bytes of the info struct of a program, map or link; zeros if refused. */
export function readInfo(fd: number, size: number): Buffer {
  const info = Buffer.alloc(size);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(size);
  libbpf().infoByFd(fd, info, length);
  return info;
}
