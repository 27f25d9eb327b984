// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto


/**
 * Done.
 */
export interface SetForwardingPipelineConfigResponse {
}

/**
 * Done.
 */
export interface SetForwardingPipelineConfigResponse__Output {
}
