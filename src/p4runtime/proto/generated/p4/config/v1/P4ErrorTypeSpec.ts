// Original file: src/p4runtime/proto/p4/config/v1/p4types.proto


/**
 * Names of the errors.
 */
export interface P4ErrorTypeSpec {
  'members'?: (string)[];
}

/**
 * Names of the errors.
 */
export interface P4ErrorTypeSpec__Output {
  'members': (string)[];
}
