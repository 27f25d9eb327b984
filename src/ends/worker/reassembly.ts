import { PartialTensor } from '../../wire/fragments.ts';
import type { Header, InferencePacket } from '../../wire/index.ts';

/** Bounds of what a worker keeps of tensors that are not whole. */
export interface ReassemblyLimits {
  /** Tensors under way at a time, and bytes of them. The oldest make room. */
  readonly tensors: number;
  readonly bytes: number;
  /** ms without another fragment after which a tensor is given up. */
  readonly timeoutMs: number;
}

/** 1,024 tensors and 64 MiB at a time, 5 s for each. */
export const defaultLimits: ReassemblyLimits = { tensors: 1024, bytes: 64 * 2 ** 20, timeoutMs: 5000 };

/** What became of fragments and tensors since the worker began. */
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

/** Whose fragment it is. */
export interface FragmentSender {
  /** Names the sender, its port included. */
  readonly name: string;
  /** Its host: all that it sends shares one part of the memory. */
  readonly host: string;
  /** Whether it has shown that it listens. */
  readonly proven: boolean;
}

interface Entry {
  readonly sender: FragmentSender;
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
  readonly #hosts = new Map<string, { tensors: number; bytes: number }>();
  #bytes = 0;
  #unprovenBytes = 0;
  #unprovenTensors = 0;

  constructor(limits: ReassemblyLimits = defaultLimits) {
    this.#limits = limits;
  }

  get pending(): number {
    return this.#entries.size;
  }

  /** Whether senders that have not shown that they listen have a quarter of the room: they get no more. */
  get isPressed(): boolean {
    const { tensors, bytes } = this.#limits;
    return 4 * this.#unprovenTensors >= tensors || 4 * this.#unprovenBytes >= bytes;
  }

  /**
   * Takes a fragment; returns the tensor that it completes.
   * @param elements of the whole tensor; @pre the fragment is a piece of such a tensor
   */
  add(
    sender: FragmentSender,
    { header, activations }: InferencePacket,
    elements: number,
    now: number,
  ): Uint8Array | undefined {
    this.counts.fragments++;
    this.expire(now);
    const key = `${sender.name}/${header.jobId}/${header.sequence}`;
    let entry = this.#entries.get(key);
    if (entry !== undefined && !isSame(entry, header, elements)) {
      this.#remove(key, entry, 'replaced');
      entry = undefined;
    }
    entry ??= this.#make(sender, header, elements);
    let placed = entry.tensor.place(header.fragmentIndex, activations);
    if (placed === 'conflict') {
      this.#remove(key, entry, 'replaced');
      entry = this.#make(sender, header, elements);
      placed = entry.tensor.place(header.fragmentIndex, activations);
    }
    if (placed === 'duplicate') this.counts.duplicates++;
    // To the end of the map: it is the youngest now.
    this.#entries.delete(key);
    entry.touched = now;
    this.#entries.set(key, entry);
    if (placed !== 'complete') {
      this.#makeRoom(sender.host);
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

  #make(sender: FragmentSender, of: Header, elements: number): Entry {
    this.#count(sender, 1, elements);
    return { sender, of, tensor: new PartialTensor(elements, of.fragmentCount), touched: 0 };
  }

  #remove(
    key: string,
    { sender, tensor }: Entry,
    why: 'completed' | 'replaced' | 'expired' | 'dropped',
  ): void {
    this.#entries.delete(key);
    this.#count(sender, -1, -tensor.bytes.length);
    this.counts[why]++;
  }

  #count({ host, proven }: FragmentSender, tensors: number, bytes: number): void {
    const of = this.#hosts.get(host) ?? { tensors: 0, bytes: 0 };
    of.tensors += tensors;
    of.bytes += bytes;
    if (of.tensors > 0) this.#hosts.set(host, of);
    else this.#hosts.delete(host);
    this.#bytes += bytes;
    if (proven) return;
    this.#unprovenTensors += tensors;
    this.#unprovenBytes += bytes;
  }

  /** The oldest of the sender's own host goes if that has more than its share; else the oldest of any that has. */
  #makeRoom(host: string): void {
    for (const whose of [(of: string) => of === host, () => true])
      for (const [key, entry] of this.#entries) {
        if (this.#entries.size <= this.#limits.tensors && this.#bytes <= this.#limits.bytes) return;
        if (whose(entry.sender.host) && this.#hasMoreThanItsShare(entry.sender.host))
          this.#remove(key, entry, 'dropped');
      }
  }

  #hasMoreThanItsShare(host: string): boolean {
    const of = this.#hosts.get(host);
    if (of === undefined) return false;
    const hosts = this.#hosts.size;
    return of.tensors * hosts > this.#limits.tensors || of.bytes * hosts > this.#limits.bytes;
  }
}

const isSame = ({ of, tensor }: Entry, header: Header, elements: number): boolean =>
  tensor.bytes.length === elements && shared.every((field) => of[field] === header[field]);
