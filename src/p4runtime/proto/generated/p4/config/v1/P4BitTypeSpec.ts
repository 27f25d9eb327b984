// Original file: src/p4runtime/proto/p4/config/v1/p4types.proto


/**
 * bit<W>.
 */
export interface P4BitTypeSpec {
  'bitwidth'?: (number);
}

/**
 * bit<W>.
 */
export interface P4BitTypeSpec__Output {
  'bitwidth': (number);
}
