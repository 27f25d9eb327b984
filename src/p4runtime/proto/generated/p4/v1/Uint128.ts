// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Long } from '@grpc/proto-loader';

/**
 * An unsigned number of 128 bits.
 */
export interface Uint128 {
  'high'?: (number | string | Long);
  'low'?: (number | string | Long);
}

/**
 * An unsigned number of 128 bits.
 */
export interface Uint128__Output {
  'high': (Long);
  'low': (Long);
}
