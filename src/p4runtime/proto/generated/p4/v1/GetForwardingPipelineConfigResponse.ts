// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { ForwardingPipelineConfig as _p4_v1_ForwardingPipelineConfig, ForwardingPipelineConfig__Output as _p4_v1_ForwardingPipelineConfig__Output } from '../../p4/v1/ForwardingPipelineConfig.ts';

/**
 * Without `config` there is no program yet.
 */
export interface GetForwardingPipelineConfigResponse {
  'config'?: (_p4_v1_ForwardingPipelineConfig | null);
}

/**
 * Without `config` there is no program yet.
 */
export interface GetForwardingPipelineConfigResponse__Output {
  'config': (_p4_v1_ForwardingPipelineConfig__Output | null);
}
