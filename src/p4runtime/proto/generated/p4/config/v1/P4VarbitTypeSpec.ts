// Original file: src/p4runtime/proto/p4/config/v1/p4types.proto


/**
 * varbit<W>.
 */
export interface P4VarbitTypeSpec {
  'maxBitwidth'?: (number);
}

/**
 * varbit<W>.
 */
export interface P4VarbitTypeSpec__Output {
  'maxBitwidth': (number);
}
