// Original file: src/p4runtime/proto/p4/config/v1/p4info.proto

import type { Preamble as _p4_config_v1_Preamble, Preamble__Output as _p4_config_v1_Preamble__Output } from '../../../p4/config/v1/Preamble.ts';
import type { MatchField as _p4_config_v1_MatchField, MatchField__Output as _p4_config_v1_MatchField__Output } from '../../../p4/config/v1/MatchField.ts';

/**
 * Values that a parser compares with.
 */
export interface ValueSet {
  'preamble'?: (_p4_config_v1_Preamble | null);
  'match'?: (_p4_config_v1_MatchField)[];
  'size'?: (number);
}

/**
 * Values that a parser compares with.
 */
export interface ValueSet__Output {
  'preamble': (_p4_config_v1_Preamble__Output | null);
  'match': (_p4_config_v1_MatchField__Output)[];
  'size': (number);
}
