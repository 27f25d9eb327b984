// Original file: src/p4runtime/proto/p4/v1/p4data.proto


/**
 * Fields in the order of the type; none where the header is not valid.
 */
export interface P4Header {
  'isValid'?: (boolean);
  'bitstrings'?: (Buffer | Uint8Array | string)[];
}

/**
 * Fields in the order of the type; none where the header is not valid.
 */
export interface P4Header__Output {
  'isValid': (boolean);
  'bitstrings': (Buffer)[];
}
