// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Uint128 as _p4_v1_Uint128, Uint128__Output as _p4_v1_Uint128__Output } from '../../p4/v1/Uint128.ts';
import type { Update as _p4_v1_Update, Update__Output as _p4_v1_Update__Output } from '../../p4/v1/Update.ts';
import type { Long } from '@grpc/proto-loader';

// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

/**
 * What becomes of a batch of which one update fails.
 */
export const _p4_v1_WriteRequest_Atomicity = {
  CONTINUE_ON_ERROR: 'CONTINUE_ON_ERROR',
  ROLLBACK_ON_ERROR: 'ROLLBACK_ON_ERROR',
  DATAPLANE_ATOMIC: 'DATAPLANE_ATOMIC',
} as const;

/**
 * What becomes of a batch of which one update fails.
 */
export type _p4_v1_WriteRequest_Atomicity =
  | 'CONTINUE_ON_ERROR'
  | 0
  | 'ROLLBACK_ON_ERROR'
  | 1
  | 'DATAPLANE_ATOMIC'
  | 2

/**
 * What becomes of a batch of which one update fails.
 */
export type _p4_v1_WriteRequest_Atomicity__Output = typeof _p4_v1_WriteRequest_Atomicity[keyof typeof _p4_v1_WriteRequest_Atomicity]

/**
 * Updates in one batch. Without `role` the sender is of the default role, which may touch everything.
 */
export interface WriteRequest {
  'deviceId'?: (number | string | Long);
  'roleId'?: (number | string | Long);
  'electionId'?: (_p4_v1_Uint128 | null);
  'updates'?: (_p4_v1_Update)[];
  'atomicity'?: (_p4_v1_WriteRequest_Atomicity);
  'role'?: (string);
}

/**
 * Updates in one batch. Without `role` the sender is of the default role, which may touch everything.
 */
export interface WriteRequest__Output {
  'deviceId': (Long);
  'roleId': (Long);
  'electionId': (_p4_v1_Uint128__Output | null);
  'updates': (_p4_v1_Update__Output)[];
  'atomicity': (_p4_v1_WriteRequest_Atomicity__Output);
  'role': (string);
}
