// Original file: src/p4runtime/proto/p4/config/v1/p4info.proto


export interface _p4_config_v1_TableActionCall_Argument {
  'paramId'?: (number);
  'value'?: (Buffer | Uint8Array | string);
}

export interface _p4_config_v1_TableActionCall_Argument__Output {
  'paramId': (number);
  'value': (Buffer);
}

/**
 * An action with its arguments.
 */
export interface TableActionCall {
  'actionId'?: (number);
  'arguments'?: (_p4_config_v1_TableActionCall_Argument)[];
}

/**
 * An action with its arguments.
 */
export interface TableActionCall__Output {
  'actionId': (number);
  'arguments': (_p4_config_v1_TableActionCall_Argument__Output)[];
}
