// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Any as _google_protobuf_Any, Any__Output as _google_protobuf_Any__Output } from '../../google/protobuf/Any.ts';
import type { Long } from '@grpc/proto-loader';

/**
 * What a controller may do. `id` is the former form of `name`.
 */
export interface Role {
  'id'?: (number | string | Long);
  'config'?: (_google_protobuf_Any | null);
  'name'?: (string);
}

/**
 * What a controller may do. `id` is the former form of `name`.
 */
export interface Role__Output {
  'id': (Long);
  'config': (_google_protobuf_Any__Output | null);
  'name': (string);
}
