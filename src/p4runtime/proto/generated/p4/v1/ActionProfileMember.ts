// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Action as _p4_v1_Action, Action__Output as _p4_v1_Action__Output } from '../../p4/v1/Action.ts';

/**
 * An action that entries and groups refer to.
 */
export interface ActionProfileMember {
  'actionProfileId'?: (number);
  'memberId'?: (number);
  'action'?: (_p4_v1_Action | null);
}

/**
 * An action that entries and groups refer to.
 */
export interface ActionProfileMember__Output {
  'actionProfileId': (number);
  'memberId': (number);
  'action': (_p4_v1_Action__Output | null);
}
