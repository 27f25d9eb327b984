// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { MethodDefinition } from '@grpc/proto-loader'
import type { CapabilitiesRequest as _p4_v1_CapabilitiesRequest, CapabilitiesRequest__Output as _p4_v1_CapabilitiesRequest__Output } from '../../p4/v1/CapabilitiesRequest.ts';
import type { CapabilitiesResponse as _p4_v1_CapabilitiesResponse, CapabilitiesResponse__Output as _p4_v1_CapabilitiesResponse__Output } from '../../p4/v1/CapabilitiesResponse.ts';
import type { GetForwardingPipelineConfigRequest as _p4_v1_GetForwardingPipelineConfigRequest, GetForwardingPipelineConfigRequest__Output as _p4_v1_GetForwardingPipelineConfigRequest__Output } from '../../p4/v1/GetForwardingPipelineConfigRequest.ts';
import type { GetForwardingPipelineConfigResponse as _p4_v1_GetForwardingPipelineConfigResponse, GetForwardingPipelineConfigResponse__Output as _p4_v1_GetForwardingPipelineConfigResponse__Output } from '../../p4/v1/GetForwardingPipelineConfigResponse.ts';
import type { ReadRequest as _p4_v1_ReadRequest, ReadRequest__Output as _p4_v1_ReadRequest__Output } from '../../p4/v1/ReadRequest.ts';
import type { ReadResponse as _p4_v1_ReadResponse, ReadResponse__Output as _p4_v1_ReadResponse__Output } from '../../p4/v1/ReadResponse.ts';
import type { SetForwardingPipelineConfigRequest as _p4_v1_SetForwardingPipelineConfigRequest, SetForwardingPipelineConfigRequest__Output as _p4_v1_SetForwardingPipelineConfigRequest__Output } from '../../p4/v1/SetForwardingPipelineConfigRequest.ts';
import type { SetForwardingPipelineConfigResponse as _p4_v1_SetForwardingPipelineConfigResponse, SetForwardingPipelineConfigResponse__Output as _p4_v1_SetForwardingPipelineConfigResponse__Output } from '../../p4/v1/SetForwardingPipelineConfigResponse.ts';
import type { StreamMessageRequest as _p4_v1_StreamMessageRequest, StreamMessageRequest__Output as _p4_v1_StreamMessageRequest__Output } from '../../p4/v1/StreamMessageRequest.ts';
import type { StreamMessageResponse as _p4_v1_StreamMessageResponse, StreamMessageResponse__Output as _p4_v1_StreamMessageResponse__Output } from '../../p4/v1/StreamMessageResponse.ts';
import type { WriteRequest as _p4_v1_WriteRequest, WriteRequest__Output as _p4_v1_WriteRequest__Output } from '../../p4/v1/WriteRequest.ts';
import type { WriteResponse as _p4_v1_WriteResponse, WriteResponse__Output as _p4_v1_WriteResponse__Output } from '../../p4/v1/WriteResponse.ts';

export interface P4RuntimeDefinition {
  Capabilities: MethodDefinition<_p4_v1_CapabilitiesRequest, _p4_v1_CapabilitiesResponse, _p4_v1_CapabilitiesRequest__Output, _p4_v1_CapabilitiesResponse__Output>
  GetForwardingPipelineConfig: MethodDefinition<_p4_v1_GetForwardingPipelineConfigRequest, _p4_v1_GetForwardingPipelineConfigResponse, _p4_v1_GetForwardingPipelineConfigRequest__Output, _p4_v1_GetForwardingPipelineConfigResponse__Output>
  Read: MethodDefinition<_p4_v1_ReadRequest, _p4_v1_ReadResponse, _p4_v1_ReadRequest__Output, _p4_v1_ReadResponse__Output>
  SetForwardingPipelineConfig: MethodDefinition<_p4_v1_SetForwardingPipelineConfigRequest, _p4_v1_SetForwardingPipelineConfigResponse, _p4_v1_SetForwardingPipelineConfigRequest__Output, _p4_v1_SetForwardingPipelineConfigResponse__Output>
  StreamChannel: MethodDefinition<_p4_v1_StreamMessageRequest, _p4_v1_StreamMessageResponse, _p4_v1_StreamMessageRequest__Output, _p4_v1_StreamMessageResponse__Output>
  Write: MethodDefinition<_p4_v1_WriteRequest, _p4_v1_WriteResponse, _p4_v1_WriteRequest__Output, _p4_v1_WriteResponse__Output>
}
