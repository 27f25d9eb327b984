// Original file: src/p4runtime/proto/p4/config/v1/p4types.proto


/**
 * bool.
 */
export interface P4BoolType {
}

/**
 * bool.
 */
export interface P4BoolType__Output {
}
