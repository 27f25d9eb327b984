// Original file: src/p4runtime/proto/p4/config/v1/p4types.proto

import type { Expression as _p4_config_v1_Expression, Expression__Output as _p4_config_v1_Expression__Output } from '../../../p4/config/v1/Expression.ts';

/**
 * One pair of a structured annotation.
 */
export interface KeyValuePair {
  'key'?: (string);
  'value'?: (_p4_config_v1_Expression | null);
}

/**
 * One pair of a structured annotation.
 */
export interface KeyValuePair__Output {
  'key': (string);
  'value': (_p4_config_v1_Expression__Output | null);
}
