// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { ValueSetMember as _p4_v1_ValueSetMember, ValueSetMember__Output as _p4_v1_ValueSetMember__Output } from '../../p4/v1/ValueSetMember.ts';

/**
 * All members of a value set.
 */
export interface ValueSetEntry {
  'valueSetId'?: (number);
  'members'?: (_p4_v1_ValueSetMember)[];
}

/**
 * All members of a value set.
 */
export interface ValueSetEntry__Output {
  'valueSetId': (number);
  'members': (_p4_v1_ValueSetMember__Output)[];
}
