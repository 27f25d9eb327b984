// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { MulticastGroupEntry as _p4_v1_MulticastGroupEntry, MulticastGroupEntry__Output as _p4_v1_MulticastGroupEntry__Output } from '../../p4/v1/MulticastGroupEntry.ts';
import type { CloneSessionEntry as _p4_v1_CloneSessionEntry, CloneSessionEntry__Output as _p4_v1_CloneSessionEntry__Output } from '../../p4/v1/CloneSessionEntry.ts';

/**
 * Copies of packets.
 */
export interface PacketReplicationEngineEntry {
  'multicastGroupEntry'?: (_p4_v1_MulticastGroupEntry | null);
  'cloneSessionEntry'?: (_p4_v1_CloneSessionEntry | null);
  'type'?: "multicastGroupEntry"|"cloneSessionEntry";
}

/**
 * Copies of packets.
 */
export interface PacketReplicationEngineEntry__Output {
  'multicastGroupEntry'?: (_p4_v1_MulticastGroupEntry__Output | null);
  'cloneSessionEntry'?: (_p4_v1_CloneSessionEntry__Output | null);
}
