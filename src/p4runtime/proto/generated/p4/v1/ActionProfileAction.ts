// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Action as _p4_v1_Action, Action__Output as _p4_v1_Action__Output } from '../../p4/v1/Action.ts';

/**
 * One of the actions of a one-shot. `watch` is deprecated for `watch_port`.
 */
export interface ActionProfileAction {
  'action'?: (_p4_v1_Action | null);
  'weight'?: (number);
  'watch'?: (number);
  'watchPort'?: (Buffer | Uint8Array | string);
  'watchKind'?: "watch"|"watchPort";
}

/**
 * One of the actions of a one-shot. `watch` is deprecated for `watch_port`.
 */
export interface ActionProfileAction__Output {
  'action': (_p4_v1_Action__Output | null);
  'weight': (number);
  'watch'?: (number);
  'watchPort'?: (Buffer);
}
