import { fragmentSpan } from '../../wire/fragments.ts';
import {
  encodePacket,
  fieldOffset,
  HEADER_BYTES,
  type RequestOptions,
  requestPacket,
} from '../../wire/index.ts';

/**
 * Makes the packets of rows that differ in sequence number and activations alone: their headers are encoded once, as
 * encoding them anew would cost more than sending.
 */
export class RequestEncoder {
  readonly #headers: readonly Uint8Array[];
  readonly #elements: number;

  constructor(elements: number, fragments: number, options: Omit<RequestOptions, 'sequence'>) {
    this.#elements = elements;
    this.#headers = Array.from({ length: fragments }, (_, fragmentIndex) => {
      const { header, activations } = requestPacket(new Uint8Array(0), options);
      const [start, end] = fragmentSpan(elements, fragmentIndex, fragments);
      const own = { elementCount: end - start, fragmentIndex, fragmentCount: fragments };
      return encodePacket({ header: { ...header, ...own }, activations });
    });
  }

  get fragments(): number {
    return this.#headers.length;
  }

  /** One fragment of a row, in memory of its own: the socket keeps it until it is sent. */
  encode(row: Uint8Array, sequence: number, fragment: number): Buffer {
    const [start, end] = fragmentSpan(this.#elements, fragment, this.fragments);
    const packet = Buffer.allocUnsafe(HEADER_BYTES + end - start);
    packet.set(this.#headers[fragment]!, 0);
    packet.writeUInt32BE(sequence, SEQUENCE_AT);
    packet.set(row.subarray(start, end), HEADER_BYTES);
    return packet;
  }
}

const SEQUENCE_AT = fieldOffset('sequence');
