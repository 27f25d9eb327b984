// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Entity as _p4_v1_Entity, Entity__Output as _p4_v1_Entity__Output } from '../../p4/v1/Entity.ts';

/**
 * Some of what was found.
 */
export interface ReadResponse {
  'entities'?: (_p4_v1_Entity)[];
}

/**
 * Some of what was found.
 */
export interface ReadResponse__Output {
  'entities': (_p4_v1_Entity__Output)[];
}
