import { PartialTensor } from '../wire/fragments.ts';
import type { Header, InferencePacket } from '../wire/index.ts';

export interface ReassemblyLimits {
  /** Tensors under way at a time, and bytes of them. The oldest make room. */
  readonly tensors: number;
  readonly bytes: number;
  /** ms without another fragment after which a tensor is given up. */
  readonly timeoutMs: number;
}

export const defaultLimits: ReassemblyLimits = { tensors: 1024, bytes: 64 * 2 ** 20, timeoutMs: 5000 };

export interface ReassemblyCounts {
  fragments: number;
  completed: number;
  duplicates: number;
  /** Tensors that another one of the same sender, job and sequence took the place of. */
  replaced: number;
  /** Tensors given up: no fragment came for too long. */
  expired: number;
  /** Tensors given up: the memory was needed for newer ones. */
  dropped: number;
}

interface Entry {
  readonly of: Header;
  readonly tensor: PartialTensor;
  touched: number;
}

/** Fields in which fragments of one tensor agree. */
const shared = [
  'flags',
  'modelId',
  'modelVersion',
  'nextLayer',
  'layerCount',
  'elementType',
  'trustZone',
  'fragmentCount',
] as const satisfies readonly (keyof Header)[];

/** Tensors that come in pieces. Pieces of one tensor have the sender, job and sequence in common. */
export class Reassembly {
  readonly counts: ReassemblyCounts = {
    fragments: 0,
    completed: 0,
    duplicates: 0,
    replaced: 0,
    expired: 0,
    dropped: 0,
  };
  readonly #limits: ReassemblyLimits;
  /** In the order of their last fragments. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(limits: ReassemblyLimits = defaultLimits) {
    this.#limits = limits;
  }

  get pending(): number {
    return this.#entries.size;
  }

  /**
   * Takes a fragment; returns the tensor that it completes.
   * @param elements of the whole tensor; @pre the fragment is a piece of such a tensor
   */
  add(
    sender: string,
    { header, activations }: InferencePacket,
    elements: number,
    now: number,
  ): Uint8Array | undefined {
    this.counts.fragments++;
    this.expire(now);
    const key = `${sender}/${header.jobId}/${header.sequence}`;
    let entry = this.#entries.get(key);
    if (entry !== undefined && !isSame(entry, header, elements)) {
      this.#remove(key, entry, 'replaced');
      entry = undefined;
    }
    entry ??= this.#make(header, elements);
    let placed = entry.tensor.place(header.fragmentIndex, activations);
    if (placed === 'conflict') {
      this.#remove(key, entry, 'replaced');
      entry = this.#make(header, elements);
      placed = entry.tensor.place(header.fragmentIndex, activations);
    }
    if (placed === 'duplicate') this.counts.duplicates++;
    // To the end of the map: it is the youngest now.
    this.#entries.delete(key);
    entry.touched = now;
    this.#entries.set(key, entry);
    if (placed !== 'complete') {
      this.#makeRoom();
      return undefined;
    }
    this.#remove(key, entry, 'completed');
    return entry.tensor.bytes;
  }

  /** Gives up what waited too long. */
  expire(now: number): void {
    for (const [key, entry] of this.#entries) {
      if (now - entry.touched < this.#limits.timeoutMs) return;
      this.#remove(key, entry, 'expired');
    }
  }

  #make(of: Header, elements: number): Entry {
    this.#bytes += elements;
    return { of, tensor: new PartialTensor(elements, of.fragmentCount), touched: 0 };
  }

  #remove(key: string, { tensor }: Entry, why: 'completed' | 'replaced' | 'expired' | 'dropped'): void {
    this.#entries.delete(key);
    this.#bytes -= tensor.bytes.length;
    this.counts[why]++;
  }

  #makeRoom(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= this.#limits.tensors && this.#bytes <= this.#limits.bytes) return;
      this.#remove(key, entry, 'dropped');
    }
  }
}

const isSame = ({ of, tensor }: Entry, header: Header, elements: number): boolean =>
  tensor.bytes.length === elements && shared.every((field) => of[field] === header[field]);
