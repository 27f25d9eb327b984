// Original file: src/p4runtime/proto/p4/config/v1/p4info.proto


/**
 * What the program asks of the device.
 */
export interface PlatformProperties {
  'multicastGroupTableSize'?: (number);
  'multicastGroupTableTotalReplicas'?: (number);
  'multicastGroupTableMaxReplicasPerEntry'?: (number);
}

/**
 * What the program asks of the device.
 */
export interface PlatformProperties__Output {
  'multicastGroupTableSize': (number);
  'multicastGroupTableTotalReplicas': (number);
  'multicastGroupTableMaxReplicasPerEntry': (number);
}
