import { encodePacket, type Header } from './codec.ts';
import { ipv4Bytes } from './header.ts';

/** The fragment count is one byte. */
export const MAX_FRAGMENTS = 255;

/** Packets that a tensor needs on a path of this MTU; each carries at least one element. */
export function fragmentsFor(elements: number, mtu: number): number {
  const room = mtu - ipv4Bytes(0);
  return room < 1 ? Number.POSITIVE_INFINITY : Math.max(1, Math.ceil(elements / room));
}

/** Elements `[start, end)` of fragment `index`: all fragments are equally long but for one element. */
export function fragmentSpan(elements: number, index: number, count: number): [start: number, end: number] {
  return [Math.floor((index * elements) / count), Math.floor(((index + 1) * elements) / count)];
}

/** A tensor as UDP payloads; all fields but those of the fragment are those of `header`. */
export function encodeTensor(header: Header, tensor: Uint8Array, fragments: number): Uint8Array[] {
  return Array.from({ length: fragments }, (_, fragmentIndex) => {
    const [start, end] = fragmentSpan(tensor.length, fragmentIndex, fragments);
    const activations = tensor.subarray(start, end);
    return encodePacket({
      header: { ...header, elementCount: end - start, fragmentIndex, fragmentCount: fragments },
      activations,
    });
  });
}

/** Whether the packet is a piece of a tensor of so many elements. */
export function isPieceOf(elements: number, { fragmentIndex, fragmentCount, elementCount }: Header): boolean {
  if (fragmentCount < 1 || fragmentIndex >= fragmentCount || fragmentCount > elements) return false;
  const [start, end] = fragmentSpan(elements, fragmentIndex, fragmentCount);
  return elementCount === end - start;
}

/** What became of a fragment. `conflict`: another tensor's fragment stands in its place. */
export type Placed = 'added' | 'duplicate' | 'conflict' | 'complete';

/** A tensor on its way in, in pieces of any order. */
export class PartialTensor {
  readonly bytes: Uint8Array;
  readonly #there: Uint8Array;
  #missing: number;

  constructor(elements: number, fragments: number) {
    this.bytes = new Uint8Array(elements);
    this.#there = new Uint8Array(fragments);
    this.#missing = fragments;
  }

  get fragments(): number {
    return this.#there.length;
  }

  /** @pre the piece is one of this tensor: `isPieceOf`, and as many fragments */
  place(index: number, activations: Uint8Array): Placed {
    const [start, end] = fragmentSpan(this.bytes.length, index, this.fragments);
    if (this.#there[index] === 1)
      return Buffer.compare(this.bytes.subarray(start, end), activations) === 0 ? 'duplicate' : 'conflict';
    this.bytes.set(activations, start);
    this.#there[index] = 1;
    this.#missing--;
    return this.#missing === 0 ? 'complete' : 'added';
  }
}
