// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { P4Data as _p4_v1_P4Data, P4Data__Output as _p4_v1_P4Data__Output } from '../../p4/v1/P4Data.ts';
import type { Long } from '@grpc/proto-loader';

/**
 * Items of one digest; `timestamp` in ns since the Epoch.
 */
export interface DigestList {
  'digestId'?: (number);
  'listId'?: (number | string | Long);
  'data'?: (_p4_v1_P4Data)[];
  'timestamp'?: (number | string | Long);
}

/**
 * Items of one digest; `timestamp` in ns since the Epoch.
 */
export interface DigestList__Output {
  'digestId': (number);
  'listId': (Long);
  'data': (_p4_v1_P4Data__Output)[];
  'timestamp': (Long);
}
