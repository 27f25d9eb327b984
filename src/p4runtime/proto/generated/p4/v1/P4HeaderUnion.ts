// Original file: src/p4runtime/proto/p4/v1/p4data.proto

import type { P4Header as _p4_v1_P4Header, P4Header__Output as _p4_v1_P4Header__Output } from '../../p4/v1/P4Header.ts';

/**
 * The header of a union that is valid, if one is.
 */
export interface P4HeaderUnion {
  'validHeaderName'?: (string);
  'validHeader'?: (_p4_v1_P4Header | null);
}

/**
 * The header of a union that is valid, if one is.
 */
export interface P4HeaderUnion__Output {
  'validHeaderName': (string);
  'validHeader': (_p4_v1_P4Header__Output | null);
}
