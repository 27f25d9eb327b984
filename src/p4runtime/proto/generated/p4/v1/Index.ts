// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Long } from '@grpc/proto-loader';

/**
 * A cell of an array; the message left out is all cells.
 */
export interface Index {
  'index'?: (number | string | Long);
}

/**
 * A cell of an array; the message left out is all cells.
 */
export interface Index__Output {
  'index': (Long);
}
