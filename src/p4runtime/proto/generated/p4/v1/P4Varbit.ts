// Original file: src/p4runtime/proto/p4/v1/p4data.proto


/**
 * Bits with their number.
 */
export interface P4Varbit {
  'bitstring'?: (Buffer | Uint8Array | string);
  'bitwidth'?: (number);
}

/**
 * Bits with their number.
 */
export interface P4Varbit__Output {
  'bitstring': (Buffer);
  'bitwidth': (number);
}
