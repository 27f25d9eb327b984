// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Long } from '@grpc/proto-loader';

/**
 * A list has been taken in.
 */
export interface DigestListAck {
  'digestId'?: (number);
  'listId'?: (number | string | Long);
}

/**
 * A list has been taken in.
 */
export interface DigestListAck__Output {
  'digestId': (number);
  'listId': (Long);
}
