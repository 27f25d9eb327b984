// Original file: src/p4runtime/proto/p4/config/v1/p4info.proto

import type { Preamble as _p4_config_v1_Preamble, Preamble__Output as _p4_config_v1_Preamble__Output } from '../../../p4/config/v1/Preamble.ts';
import type { Long } from '@grpc/proto-loader';

export interface _p4_config_v1_ActionProfile_SumOfMembers {
  'maxMemberWeight'?: (number);
}

export interface _p4_config_v1_ActionProfile_SumOfMembers__Output {
  'maxMemberWeight': (number);
}

export interface _p4_config_v1_ActionProfile_SumOfWeights {
}

export interface _p4_config_v1_ActionProfile_SumOfWeights__Output {
}

/**
 * Actions kept apart from the tables that use them; with a selector also groups.
 */
export interface ActionProfile {
  'preamble'?: (_p4_config_v1_Preamble | null);
  'tableIds'?: (number)[];
  'withSelector'?: (boolean);
  'size'?: (number | string | Long);
  'maxGroupSize'?: (number);
  'sumOfWeights'?: (_p4_config_v1_ActionProfile_SumOfWeights | null);
  'sumOfMembers'?: (_p4_config_v1_ActionProfile_SumOfMembers | null);
  'weightsDisallowed'?: (boolean);
  'selectorSizeSemantics'?: "sumOfWeights"|"sumOfMembers";
}

/**
 * Actions kept apart from the tables that use them; with a selector also groups.
 */
export interface ActionProfile__Output {
  'preamble': (_p4_config_v1_Preamble__Output | null);
  'tableIds': (number)[];
  'withSelector': (boolean);
  'size': (Long);
  'maxGroupSize': (number);
  'sumOfWeights'?: (_p4_config_v1_ActionProfile_SumOfWeights__Output | null);
  'sumOfMembers'?: (_p4_config_v1_ActionProfile_SumOfMembers__Output | null);
  'weightsDisallowed': (boolean);
}
