// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto


/**
 * All went well; what did not is in the status of the call.
 */
export interface WriteResponse {
}

/**
 * All went well; what did not is in the status of the call.
 */
export interface WriteResponse__Output {
}
