/** A BPF map, from a loaded object or from a pin: raw keys and values, and per-CPU values as one. */
import { closeSync } from 'node:fs';
import { BpfError, KernelCallError } from './errors.ts';
import { Lease } from './lease.ts';
import { type MappedWords, mapWords } from './mapped-words.ts';
import { readCString, readInfo } from './memory.ts';
import { libbpf } from './native.ts';
import { openPin, pin } from './pin.ts';

/** Raw bytes of exactly the map's key or value size; a number is short for a little-endian 32-bit integer. */
export type MapBytes = Uint8Array | number;

/** Sizes in bytes, as declared: a per-CPU map's `valueSize` is that of one CPU. `type` is the kernel's number. */
export interface MapInfo {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly perCpu: boolean;
}

const PER_CPU_TYPES: readonly number[] = [5 /* hash */, 6 /* array */, 10 /* LRU hash */];
const UPDATE_FLAGS = { any: 0, create: 1, replace: 2 } as const;
const [ENOENT, EINVAL, ENOSPC, ENOTSUPP] = [2, 22, 28, 524];
/** Of elements in one call. */
const BATCH_BYTES = 64 * 1024;

/** Copies. */
export interface MapElement {
  readonly key: Buffer;
  readonly value: Buffer;
}

/**
 * A map in the kernel, of a loaded object or opened from a pin. Keys and values are bytes, or numbers where they are of 4
 * or 8 bytes.
 */
export class BpfMap {
  readonly info: MapInfo;
  /** The kernel's number of the map: two handles with the same are one map. */
  readonly id: number;
  readonly #fd: number;
  readonly #lease: Lease;
  /** Bytes that one element takes in a call: for per-CPU maps all CPUs' values, each padded to 8 bytes. */
  readonly #transferSize: number;

  /** @internal Maps come from `BpfObject.map` or `openPinnedMap`. The kernel cuts names to 15 characters. */
  constructor(fd: number, lease: Lease, name?: string) {
    const raw = readInfo(fd, 88);
    const type = raw.readUInt32LE(0);
    this.#fd = fd;
    this.#lease = lease;
    this.id = raw.readUInt32LE(4);
    this.info = {
      name: name ?? readCString(raw.subarray(24, 40)),
      type,
      keySize: raw.readUInt32LE(8),
      valueSize: raw.readUInt32LE(12),
      maxEntries: raw.readUInt32LE(16),
      perCpu: PER_CPU_TYPES.includes(type),
    };
    this.#transferSize = this.info.perCpu ? this.#stride * libbpf().possibleCpus() : this.info.valueSize;
  }

  /** For programs' map-in-map and program-array entries. @throws BpfError `bpf-closed` */
  get fd(): number {
    this.#lease.check();
    return this.#fd;
  }

  /**
   * A copy of the value, or undefined where the map has no such key. A per-CPU map gives the values of all possible
   * CPUs one after the other, each padded to a multiple of 8 bytes; see `lookupPerCpu`.
   */
  lookup(key: MapBytes): Buffer | undefined {
    const value = Buffer.allocUnsafe(this.#transferSize);
    const result = libbpf().mapLookup(this.fd, this.#key(key), value);
    if (result === -ENOENT) return undefined;
    this.#check('lookup', result);
    return value;
  }

  /** The value of each possible CPU (possible, not online: a CPU that went offline keeps its counts). */
  lookupPerCpu(key: MapBytes): Buffer[] | undefined {
    if (!this.info.perCpu) throw badArgument(`map "${this.info.name}" is not per-CPU`, 'use lookup');
    const all = this.lookup(key);
    if (all === undefined) return undefined;
    const { valueSize } = this.info;
    const cpus = all.length / this.#stride;
    return Array.from({ length: cpus }, (_, cpu) =>
      all.subarray(cpu * this.#stride, cpu * this.#stride + valueSize),
    );
  }

  /** The value read as unsigned counters of `width` bytes, each summed over the CPUs (modulo 2^64). */
  sumPerCpu(key: MapBytes, width: 4 | 8 = 8): bigint[] | undefined {
    const { name, valueSize } = this.info;
    if (valueSize % width !== 0) {
      throw badArgument(
        `a value of map "${name}" (${valueSize} B) is no row of ${width}-byte counters`,
        'use lookup',
      );
    }
    const values = this.lookupPerCpu(key);
    if (values === undefined) return undefined;
    return Array.from({ length: valueSize / width }, (_, i) => {
      const counts = values.map((v) =>
        width === 8 ? v.readBigUInt64LE(i * 8) : BigInt(v.readUInt32LE(i * 4)),
      );
      return BigInt.asUintN(
        64,
        counts.reduce((sum, count) => sum + count),
      );
    });
  }

  /**
   * Writes one element, of any size; atomic for the programs only up to 8 bytes. A per-CPU map takes the value of one
   * CPU, which is then given to all of them, or the values of all as `lookup` returns them.
   *
   * @param mode `create` fails (EEXIST) where the key exists, `replace` (ENOENT) where it does not
   */
  update(key: MapBytes, value: MapBytes, mode: keyof typeof UPDATE_FLAGS = 'any'): void {
    this.#check(
      'update',
      libbpf().mapUpdate(this.fd, this.#key(key), this.#value(value), UPDATE_FLAGS[mode]),
    );
  }

  /** @returns whether there was such a key. Elements of arrays cannot be deleted (EINVAL). */
  delete(key: MapBytes): boolean {
    const result = libbpf().mapDelete(this.fd, this.#key(key));
    if (result !== -ENOENT) this.#check('delete', result);
    return result !== -ENOENT;
  }

  /**
   * All keys. The kernel restarts from the first when the key last seen was deleted meanwhile, so under concurrent
   * deletes a key may come twice; the iteration ends after `maxEntries` keys at the latest.
   */
  *keys(): Generator<Buffer> {
    let previous: Buffer | null = null;
    for (let count = 0; count < this.info.maxEntries; count++) {
      const key = Buffer.alloc(this.info.keySize);
      const result: number = libbpf().mapNextKey(this.fd, previous, key);
      if (result === -ENOENT) return;
      this.#check('iterate', result);
      // The copy that goes on to the kernel is ours: the caller may change what it was given.
      previous = Buffer.from(key);
      yield key;
    }
  }

  /**
   * All elements, values as `lookup` gives them; by few calls where the kernel has one for many. Of those that are written or
   * removed meanwhile any may be missing.
   */
  elements(): MapElement[] {
    return (
      this.#batches() ??
      [...this.keys()].flatMap((key) => {
        const value = this.lookup(key);
        return value === undefined ? [] : [{ key, value }];
      })
    );
  }

  /** Undefined where the kernel has no such call for this type of map, or a bucket of it has more than a call takes. */
  #batches(): MapElement[] | undefined {
    const { keySize, maxEntries } = this.info;
    const room = Math.min(maxEntries, Math.ceil(BATCH_BYTES / (keySize + this.#transferSize)));
    const count = Buffer.alloc(4);
    let from: Buffer | null = null;
    const found: MapElement[] = [];
    for (;;) {
      // A place to go on from is a key, or the 32-bit number of a bucket.
      const to = Buffer.alloc(Math.max(4, keySize));
      const keys = Buffer.alloc(room * keySize);
      const values = Buffer.alloc(room * this.#transferSize);
      count.writeUInt32LE(room);
      const result = libbpf().mapLookupBatch(this.fd, from, to, keys, values, count, null);
      if (result === -ENOTSUPP || result === -EINVAL || result === -ENOSPC) return undefined;
      if (result !== -ENOENT) this.#check('read', result);
      for (let i = 0; i < count.readUInt32LE(); i++)
        found.push({
          key: keys.subarray(i * keySize, (i + 1) * keySize),
          value: values.subarray(i * this.#transferSize, (i + 1) * this.#transferSize),
        });
      if (result === -ENOENT) return found;
      from = to;
    }
  }

  /**
   * The values of an array (`BPF_F_MMAPABLE`), one 64-bit word or several each, as memory that the programs read: each store of a
   * word is seen as a whole. (An update by call is a memcpy, of which the kernel promises nothing.) Close it before the map.
   */
  words(): MappedWords {
    const { name, valueSize, maxEntries } = this.info;
    if (valueSize % 8 !== 0)
      throw badArgument(`values of map "${name}" have ${valueSize} bytes, no multiple of 8`, 'use lookup');
    return mapWords(this.fd, (maxEntries * valueSize) / 8, name);
  }

  /** Keeps the map alive beyond this process, under a path of a BPF file system (`ensureBpffs`). */
  pin(path: string): void {
    pin(this.fd, path, `map "${this.info.name}"`);
  }

  get #stride(): number {
    return Math.ceil(this.info.valueSize / 8) * 8;
  }

  #key(key: MapBytes): Uint8Array {
    return sized(key, [this.info.keySize], `a key of map "${this.info.name}"`);
  }

  #value(value: MapBytes): Uint8Array {
    const { valueSize, perCpu, name } = this.info;
    const sizes = perCpu ? [valueSize, this.#transferSize] : [valueSize];
    const bytes = sized(value, sizes, `a value of map "${name}"`);
    if (!perCpu || bytes.length === this.#transferSize) return bytes;
    const all = Buffer.alloc(this.#transferSize);
    for (let offset = 0; offset < all.length; offset += this.#stride) all.set(bytes, offset);
    return all;
  }

  #check(operation: string, result: number): void {
    if (result >= 0) return;
    const what = `${operation} in map "${this.info.name}"`;
    throw new KernelCallError(what, -result, 'check the key against the map\'s type and its "maxEntries"');
  }
}

/** A map of its own, which lives until `close()` (and in the kernel for as long as it is pinned). */
export class PinnedMap extends BpfMap implements Disposable {
  readonly #close: () => void;

  /** @internal */
  constructor(fd: number, path: string) {
    const lease = new Lease(`map at ${path}`);
    super(fd, lease);
    this.#close = () => lease.end() && closeSync(fd);
  }

  close(): void {
    this.#close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Opens a map that this or an earlier process pinned. @throws BpfError `bpf-pin` */
export function openPinnedMap(path: string): PinnedMap {
  return new PinnedMap(openPin(path, 'map'), path);
}

/** The kernel reads as many bytes as the map declares, so a shorter buffer would leak what lies behind it. */
function sized(value: MapBytes, sizes: readonly number[], what: string): Uint8Array {
  let bytes = value;
  if (typeof bytes === 'number') {
    if (!Number.isInteger(bytes) || bytes < -(2 ** 31) || bytes >= 2 ** 32) {
      throw badArgument(`${what} is ${value}, which is no 32-bit integer`, 'pass the bytes');
    }
    const word = Buffer.alloc(4);
    word.writeInt32LE(bytes | 0);
    bytes = word;
  }
  if (!sizes.includes(bytes.length)) {
    throw badArgument(`${what} has ${sizes.join(' or ')} bytes, not ${bytes.length}`, 'pass as many bytes');
  }
  return bytes;
}

function badArgument(message: string, remedy: string): BpfError {
  return new BpfError('bpf-bad-argument', message, { remedy });
}
