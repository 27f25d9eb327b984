// Original file: src/p4runtime/proto/p4/config/v1/p4types.proto


/**
 * error: one for the whole program.
 */
export interface P4ErrorType {
}

/**
 * error: one for the whole program.
 */
export interface P4ErrorType__Output {
}
