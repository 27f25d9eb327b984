// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Long } from '@grpc/proto-loader';

/**
 * What was counted; a unit that is not counted is 0.
 */
export interface CounterData {
  'byteCount'?: (number | string | Long);
  'packetCount'?: (number | string | Long);
}

/**
 * What was counted; a unit that is not counted is 0.
 */
export interface CounterData__Output {
  'byteCount': (Long);
  'packetCount': (Long);
}
