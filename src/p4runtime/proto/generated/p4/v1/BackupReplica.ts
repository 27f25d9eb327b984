// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto


/**
 * Where a copy goes while its port is down.
 */
export interface BackupReplica {
  'port'?: (Buffer | Uint8Array | string);
  'instance'?: (number);
}

/**
 * Where a copy goes while its port is down.
 */
export interface BackupReplica__Output {
  'port': (Buffer);
  'instance': (number);
}
