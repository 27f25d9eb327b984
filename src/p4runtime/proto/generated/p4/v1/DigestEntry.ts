// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Longest wait behind the first item (0 sends at once), items of a list (0 is no limit), and how long items already sent
 * are held back without an acknowledgement.
 */
export interface _p4_v1_DigestEntry_Config {
  'maxTimeoutNs'?: (number | string | Long);
  'maxListSize'?: (number);
  'ackTimeoutNs'?: (number | string | Long);
}

/**
 * Longest wait behind the first item (0 sends at once), items of a list (0 is no limit), and how long items already sent
 * are held back without an acknowledgement.
 */
export interface _p4_v1_DigestEntry_Config__Output {
  'maxTimeoutNs': (Long);
  'maxListSize': (number);
  'ackTimeoutNs': (Long);
}

/**
 * Which digests are sent, and how they are gathered.
 */
export interface DigestEntry {
  'digestId'?: (number);
  'config'?: (_p4_v1_DigestEntry_Config | null);
}

/**
 * Which digests are sent, and how they are gathered.
 */
export interface DigestEntry__Output {
  'digestId': (number);
  'config': (_p4_v1_DigestEntry_Config__Output | null);
}
