// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Replica as _p4_v1_Replica, Replica__Output as _p4_v1_Replica__Output } from '../../p4/v1/Replica.ts';

/**
 * Copies that a packet of the group becomes.
 */
export interface MulticastGroupEntry {
  'multicastGroupId'?: (number);
  'replicas'?: (_p4_v1_Replica)[];
  'metadata'?: (Buffer | Uint8Array | string);
}

/**
 * Copies that a packet of the group becomes.
 */
export interface MulticastGroupEntry__Output {
  'multicastGroupId': (number);
  'replicas': (_p4_v1_Replica__Output)[];
  'metadata': (Buffer);
}
