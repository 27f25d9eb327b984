// Original file: src/p4runtime/proto/p4/config/v1/p4types.proto


/**
 * int<W>, in two's complement.
 */
export interface P4IntTypeSpec {
  'bitwidth'?: (number);
}

/**
 * int<W>, in two's complement.
 */
export interface P4IntTypeSpec__Output {
  'bitwidth': (number);
}
