// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto


export interface _p4_v1_ActionProfileGroup_Member {
  'memberId'?: (number);
  'weight'?: (number);
  'watch'?: (number);
  'watchPort'?: (Buffer | Uint8Array | string);
  'watchKind'?: "watch"|"watchPort";
}

export interface _p4_v1_ActionProfileGroup_Member__Output {
  'memberId': (number);
  'weight': (number);
  'watch'?: (number);
  'watchPort'?: (Buffer);
}

/**
 * Members of which a packet meets one. `max_size` 0 is the limit of the profile.
 */
export interface ActionProfileGroup {
  'actionProfileId'?: (number);
  'groupId'?: (number);
  'members'?: (_p4_v1_ActionProfileGroup_Member)[];
  'maxSize'?: (number);
}

/**
 * Members of which a packet meets one. `max_size` 0 is the limit of the profile.
 */
export interface ActionProfileGroup__Output {
  'actionProfileId': (number);
  'groupId': (number);
  'members': (_p4_v1_ActionProfileGroup_Member__Output)[];
  'maxSize': (number);
}
