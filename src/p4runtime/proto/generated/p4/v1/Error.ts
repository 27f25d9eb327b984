// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Any as _google_protobuf_Any, Any__Output as _google_protobuf_Any__Output } from '../../google/protobuf/Any.ts';

/**
 * What became of one update of a Write, or one request of a Read; code 0 is OK.
 */
export interface Error {
  'canonicalCode'?: (number);
  'message'?: (string);
  'space'?: (string);
  'code'?: (number);
  'details'?: (_google_protobuf_Any | null);
}

/**
 * What became of one update of a Write, or one request of a Read; code 0 is OK.
 */
export interface Error__Output {
  'canonicalCode': (number);
  'message': (string);
  'space': (string);
  'code': (number);
  'details': (_google_protobuf_Any__Output | null);
}
