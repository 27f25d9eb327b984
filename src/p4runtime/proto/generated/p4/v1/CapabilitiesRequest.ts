// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Device 0 asks for the server as a whole.
 */
export interface CapabilitiesRequest {
  'deviceId'?: (number | string | Long);
}

/**
 * Device 0 asks for the server as a whole.
 */
export interface CapabilitiesRequest__Output {
  'deviceId': (Long);
}
