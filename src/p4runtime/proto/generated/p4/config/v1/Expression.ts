// Original file: src/p4runtime/proto/p4/config/v1/p4types.proto

import type { Long } from '@grpc/proto-loader';

/**
 * A value in a structured annotation.
 */
export interface Expression {
  'stringValue'?: (string);
  'int64Value'?: (number | string | Long);
  'boolValue'?: (boolean);
  'value'?: "stringValue"|"int64Value"|"boolValue";
}

/**
 * A value in a structured annotation.
 */
export interface Expression__Output {
  'stringValue'?: (string);
  'int64Value'?: (Long);
  'boolValue'?: (boolean);
}
