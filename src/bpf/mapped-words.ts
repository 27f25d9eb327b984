/** An array map's memory in this process. */
import { KernelCallError } from './errors.ts';
import { Lease } from './lease.ts';
import { libbpf } from './native.ts';

const [PROT_READ, PROT_WRITE, MAP_SHARED] = [1, 2, 1];

/** 64-bit words that programs read while they are written: either side sees all of a word or nothing. */
export class MappedWords implements Disposable {
  readonly #words: BigUint64Array;
  readonly #lease: Lease;
  readonly #unmap: () => void;

  /** @internal From `BpfMap.words`. */
  constructor(buffer: ArrayBuffer, count: number, name: string, unmap: () => void) {
    this.#words = new BigUint64Array(buffer, 0, count);
    this.#lease = new Lease(`the memory of map "${name}"`);
    this.#unmap = unmap;
  }

  get(index: number): bigint {
    this.#lease.check();
    return Atomics.load(this.#words, index);
  }

  set(index: number, value: bigint): void {
    this.#lease.check();
    Atomics.store(this.#words, index, value);
  }

  close(): void {
    if (this.#lease.end()) this.#unmap();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** @internal @throws KernelCallError EPERM where the map is not for mapping */
export function mapWords(fd: number, count: number, name: string): MappedWords {
  const lib = libbpf();
  const size = count * 8;
  const at = lib.mmap(null, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (BigInt(at) === -1n)
    throw new KernelCallError(`map the memory of "${name}"`, lib.errno(), 'declare it with BPF_F_MMAPABLE');
  return new MappedWords(lib.view(at, size), count, name, () => lib.munmap(at, size));
}
