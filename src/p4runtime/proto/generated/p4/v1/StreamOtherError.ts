// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Any as _google_protobuf_Any, Any__Output as _google_protobuf_Any__Output } from '../../google/protobuf/Any.ts';

/**
 * The message of another kind that was wrong.
 */
export interface StreamOtherError {
  'other'?: (_google_protobuf_Any | null);
}

/**
 * The message of another kind that was wrong.
 */
export interface StreamOtherError__Output {
  'other': (_google_protobuf_Any__Output | null);
}
