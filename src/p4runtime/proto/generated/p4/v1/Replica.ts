// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { BackupReplica as _p4_v1_BackupReplica, BackupReplica__Output as _p4_v1_BackupReplica__Output } from '../../p4/v1/BackupReplica.ts';

/**
 * One copy. `egress_port` is the former form of `port`.
 */
export interface Replica {
  'egressPort'?: (number);
  'instance'?: (number);
  'port'?: (Buffer | Uint8Array | string);
  /**
   * In order of preference; since 1.5.
   */
  'backupReplicas'?: (_p4_v1_BackupReplica)[];
  'portKind'?: "egressPort"|"port";
}

/**
 * One copy. `egress_port` is the former form of `port`.
 */
export interface Replica__Output {
  'egressPort'?: (number);
  'instance': (number);
  'port'?: (Buffer);
  /**
   * In order of preference; since 1.5.
   */
  'backupReplicas': (_p4_v1_BackupReplica__Output)[];
}
