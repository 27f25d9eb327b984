/** Requests, answers and the stream: package `p4.v1`, names and numbers of the standard (1.5). */
export const serviceMessages = {
  WriteRequest: {
    deviceId: 'uint64 1',
    roleId: 'uint64 2',
    role: 'string 6',
    electionId: 'Uint128 3',
    updates: 'repeated Update 4',
    atomicity: 'WriteRequest.Atomicity 5',
  },
  WriteResponse: {},
  ReadRequest: {
    deviceId: 'uint64 1',
    role: 'string 3',
    entities: 'repeated Entity 2',
  },
  ReadResponse: {
    entities: 'repeated Entity 1',
  },
  StreamMessageRequest: {
    'oneof:update': {
      arbitration: 'MasterArbitrationUpdate 1',
      packet: 'PacketOut 2',
      digestAck: 'DigestListAck 3',
      other: '.google.protobuf.Any 4',
    },
  },
  PacketOut: {
    payload: 'bytes 1',
    metadata: 'repeated PacketMetadata 2',
  },
  DigestListAck: {
    digestId: 'uint32 1',
    listId: 'uint64 2',
  },
  StreamMessageResponse: {
    'oneof:update': {
      arbitration: 'MasterArbitrationUpdate 1',
      packet: 'PacketIn 2',
      digest: 'DigestList 3',
      idleTimeoutNotification: 'IdleTimeoutNotification 4',
      other: '.google.protobuf.Any 5',
      error: 'StreamError 6',
    },
  },
  PacketIn: {
    payload: 'bytes 1',
    metadata: 'repeated PacketMetadata 2',
  },
  DigestList: {
    digestId: 'uint32 1',
    listId: 'uint64 2',
    data: 'repeated P4Data 3',
    timestamp: 'int64 4',
  },
  PacketMetadata: {
    metadataId: 'uint32 1',
    value: 'bytes 2',
  },
  MasterArbitrationUpdate: {
    deviceId: 'uint64 1',
    role: 'Role 2',
    electionId: 'Uint128 3',
    status: '.google.rpc.Status 4',
  },
  Role: {
    id: 'uint64 1',
    name: 'string 3',
    config: '.google.protobuf.Any 2',
  },
  IdleTimeoutNotification: {
    tableEntry: 'repeated TableEntry 1',
    timestamp: 'int64 2',
  },
  StreamError: {
    canonicalCode: 'int32 1',
    message: 'string 2',
    space: 'string 3',
    code: 'int32 4',
    'oneof:details': {
      packetOut: 'PacketOutError 5',
      digestListAck: 'DigestListAckError 6',
      other: 'StreamOtherError 7',
    },
  },
  PacketOutError: {
    packetOut: 'PacketOut 1',
  },
  DigestListAckError: {
    digestListAck: 'DigestListAck 1',
  },
  StreamOtherError: {
    other: '.google.protobuf.Any 1',
  },
  Uint128: {
    high: 'uint64 1',
    low: 'uint64 2',
  },
  SetForwardingPipelineConfigRequest: {
    deviceId: 'uint64 1',
    roleId: 'uint64 2',
    role: 'string 6',
    electionId: 'Uint128 3',
    action: 'SetForwardingPipelineConfigRequest.Action 4',
    config: 'ForwardingPipelineConfig 5',
  },
  SetForwardingPipelineConfigResponse: {},
  ForwardingPipelineConfig: {
    p4info: '.p4.config.v1.P4Info 1',
    p4DeviceConfig: 'bytes 2',
    cookie: 'ForwardingPipelineConfig.Cookie 3',
  },
  'ForwardingPipelineConfig.Cookie': {
    cookie: 'uint64 1',
  },
  GetForwardingPipelineConfigRequest: {
    deviceId: 'uint64 1',
    responseType: 'GetForwardingPipelineConfigRequest.ResponseType 2',
  },
  GetForwardingPipelineConfigResponse: {
    config: 'ForwardingPipelineConfig 1',
  },
  Error: {
    canonicalCode: 'int32 1',
    message: 'string 2',
    space: 'string 3',
    code: 'int32 4',
    details: '.google.protobuf.Any 5',
  },
  CapabilitiesRequest: {
    deviceId: 'uint64 1',
  },
  CapabilitiesResponse: {
    p4runtimeApiVersion: 'string 1',
    experimental: '.google.protobuf.Any 999',
  },
} as const;

export const v1Enums = {
  'WriteRequest.Atomicity': { CONTINUE_ON_ERROR: 0, ROLLBACK_ON_ERROR: 1, DATAPLANE_ATOMIC: 2 },
  'Update.Type': { UNSPECIFIED: 0, INSERT: 1, MODIFY: 2, DELETE: 3 },
  'ActionProfileActionSet.ActionSelectionMode': {
    DEFAULT_MODE_DETERMINED_BY_ACTION_SELECTOR: 0,
    HASH: 1,
    RANDOM: 2,
  },
  'ActionProfileActionSet.SizeSemantics': {
    DEFAULT_SIZE_DETERMINED_BY_ACTION_SELECTOR: 0,
    SUM_OF_WEIGHTS: 1,
    SUM_OF_MEMBERS: 2,
  },
  'SetForwardingPipelineConfigRequest.Action': {
    UNSPECIFIED: 0,
    VERIFY: 1,
    VERIFY_AND_SAVE: 2,
    VERIFY_AND_COMMIT: 3,
    COMMIT: 4,
    RECONCILE_AND_COMMIT: 5,
  },
  'GetForwardingPipelineConfigRequest.ResponseType': {
    ALL: 0,
    COOKIE_ONLY: 1,
    P4INFO_AND_COOKIE: 2,
    DEVICE_CONFIG_AND_COOKIE: 3,
  },
  SdnPort: {
    SDN_PORT_UNKNOWN: 0,
    SDN_PORT_MIN: 1,
    SDN_PORT_MAX: -257,
    SDN_PORT_RECIRCULATE: -6,
    SDN_PORT_CPU: -3,
  },
} as const;
