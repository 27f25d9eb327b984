// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Action as _p4_v1_Action, Action__Output as _p4_v1_Action__Output } from '../../p4/v1/Action.ts';
import type { ActionProfileActionSet as _p4_v1_ActionProfileActionSet, ActionProfileActionSet__Output as _p4_v1_ActionProfileActionSet__Output } from '../../p4/v1/ActionProfileActionSet.ts';

/**
 * What an entry does: an action, or what stands for one in an action profile.
 */
export interface TableAction {
  'action'?: (_p4_v1_Action | null);
  'actionProfileMemberId'?: (number);
  'actionProfileGroupId'?: (number);
  'actionProfileActionSet'?: (_p4_v1_ActionProfileActionSet | null);
  'type'?: "action"|"actionProfileMemberId"|"actionProfileGroupId"|"actionProfileActionSet";
}

/**
 * What an entry does: an action, or what stands for one in an action profile.
 */
export interface TableAction__Output {
  'action'?: (_p4_v1_Action__Output | null);
  'actionProfileMemberId'?: (number);
  'actionProfileGroupId'?: (number);
  'actionProfileActionSet'?: (_p4_v1_ActionProfileActionSet__Output | null);
}
