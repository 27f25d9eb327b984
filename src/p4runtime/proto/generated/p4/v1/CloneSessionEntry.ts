// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Replica as _p4_v1_Replica, Replica__Output as _p4_v1_Replica__Output } from '../../p4/v1/Replica.ts';

/**
 * Copies that are cloned; `packet_length_bytes` 0 copies the whole packet.
 */
export interface CloneSessionEntry {
  'sessionId'?: (number);
  'replicas'?: (_p4_v1_Replica)[];
  'classOfService'?: (number);
  'packetLengthBytes'?: (number);
}

/**
 * Copies that are cloned; `packet_length_bytes` 0 copies the whole packet.
 */
export interface CloneSessionEntry__Output {
  'sessionId': (number);
  'replicas': (_p4_v1_Replica__Output)[];
  'classOfService': (number);
  'packetLengthBytes': (number);
}
