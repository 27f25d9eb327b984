// Original file: src/p4runtime/proto/p4/config/v1/p4types.proto


/**
 * A type of `P4TypeInfo`, by name.
 */
export interface P4NamedType {
  'name'?: (string);
}

/**
 * A type of `P4TypeInfo`, by name.
 */
export interface P4NamedType__Output {
  'name': (string);
}
