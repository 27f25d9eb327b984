// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Entity as _p4_v1_Entity, Entity__Output as _p4_v1_Entity__Output } from '../../p4/v1/Entity.ts';
import type { Long } from '@grpc/proto-loader';

/**
 * Patterns of what is asked for; an id of 0 or a key left out stands for all.
 */
export interface ReadRequest {
  'deviceId'?: (number | string | Long);
  'entities'?: (_p4_v1_Entity)[];
  'role'?: (string);
}

/**
 * Patterns of what is asked for; an id of 0 or a key left out stands for all.
 */
export interface ReadRequest__Output {
  'deviceId': (Long);
  'entities': (_p4_v1_Entity__Output)[];
  'role': (string);
}
