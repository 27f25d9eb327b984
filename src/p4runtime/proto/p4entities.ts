/** What is written and read: package `p4.v1`, names and numbers of the standard (1.5). */
export const entityMessages = {
  Update: {
    type: 'Update.Type 1',
    entity: 'Entity 2',
  },
  Entity: {
    'oneof:entity': {
      externEntry: 'ExternEntry 1',
      tableEntry: 'TableEntry 2',
      actionProfileMember: 'ActionProfileMember 3',
      actionProfileGroup: 'ActionProfileGroup 4',
      meterEntry: 'MeterEntry 5',
      directMeterEntry: 'DirectMeterEntry 6',
      counterEntry: 'CounterEntry 7',
      directCounterEntry: 'DirectCounterEntry 8',
      packetReplicationEngineEntry: 'PacketReplicationEngineEntry 9',
      valueSetEntry: 'ValueSetEntry 10',
      registerEntry: 'RegisterEntry 11',
      digestEntry: 'DigestEntry 12',
    },
  },
  ExternEntry: {
    externTypeId: 'uint32 1',
    externId: 'uint32 2',
    entry: '.google.protobuf.Any 3',
  },
  TableEntry: {
    tableId: 'uint32 1',
    match: 'repeated FieldMatch 2',
    action: 'TableAction 3',
    priority: 'int32 4',
    controllerMetadata: 'uint64 5',
    meterConfig: 'MeterConfig 6',
    counterData: 'CounterData 7',
    meterCounterData: 'MeterCounterData 12',
    isDefaultAction: 'bool 8',
    idleTimeoutNs: 'int64 9',
    timeSinceLastHit: 'TableEntry.IdleTimeout 10',
    metadata: 'bytes 11',
    isConst: 'bool 13',
  },
  'TableEntry.IdleTimeout': {
    elapsedNs: 'int64 1',
  },
  FieldMatch: {
    fieldId: 'uint32 1',
    'oneof:fieldMatchType': {
      exact: 'FieldMatch.Exact 2',
      ternary: 'FieldMatch.Ternary 3',
      lpm: 'FieldMatch.LPM 4',
      range: 'FieldMatch.Range 6',
      optional: 'FieldMatch.Optional 7',
      other: '.google.protobuf.Any 100',
    },
  },
  'FieldMatch.Exact': {
    value: 'bytes 1',
  },
  'FieldMatch.Ternary': {
    value: 'bytes 1',
    mask: 'bytes 2',
  },
  'FieldMatch.LPM': {
    value: 'bytes 1',
    prefixLen: 'int32 2',
  },
  'FieldMatch.Range': {
    low: 'bytes 1',
    high: 'bytes 2',
  },
  'FieldMatch.Optional': {
    value: 'bytes 1',
  },
  TableAction: {
    'oneof:type': {
      action: 'Action 1',
      actionProfileMemberId: 'uint32 2',
      actionProfileGroupId: 'uint32 3',
      actionProfileActionSet: 'ActionProfileActionSet 4',
    },
  },
  Action: {
    actionId: 'uint32 1',
    params: 'repeated Action.Param 4',
  },
  'Action.Param': {
    paramId: 'uint32 2',
    value: 'bytes 3',
  },
  ActionProfileActionSet: {
    groupAction: 'Action 5',
    actionProfileActions: 'repeated ActionProfileAction 1',
    actionSelectionMode: 'ActionProfileActionSet.ActionSelectionMode 2',
    sizeSemantics: 'ActionProfileActionSet.SizeSemantics 3',
  },
  ActionProfileAction: {
    action: 'Action 1',
    weight: 'int32 2',
    'oneof:watchKind': {
      watch: 'int32 3',
      watchPort: 'bytes 4',
    },
  },
  ActionProfileMember: {
    actionProfileId: 'uint32 1',
    memberId: 'uint32 2',
    action: 'Action 3',
  },
  ActionProfileGroup: {
    actionProfileId: 'uint32 1',
    groupId: 'uint32 2',
    members: 'repeated ActionProfileGroup.Member 3',
    maxSize: 'int32 4',
  },
  'ActionProfileGroup.Member': {
    memberId: 'uint32 1',
    weight: 'int32 2',
    'oneof:watchKind': {
      watch: 'int32 3',
      watchPort: 'bytes 4',
    },
  },
  Index: {
    index: 'int64 1',
  },
  MeterEntry: {
    meterId: 'uint32 1',
    index: 'Index 2',
    config: 'MeterConfig 3',
    counterData: 'MeterCounterData 4',
  },
  DirectMeterEntry: {
    tableEntry: 'TableEntry 1',
    config: 'MeterConfig 2',
    counterData: 'MeterCounterData 3',
  },
  MeterConfig: {
    cir: 'int64 1',
    cburst: 'int64 2',
    pir: 'int64 3',
    pburst: 'int64 4',
    eburst: 'int64 5',
  },
  CounterEntry: {
    counterId: 'uint32 1',
    index: 'Index 2',
    data: 'CounterData 3',
  },
  DirectCounterEntry: {
    tableEntry: 'TableEntry 1',
    data: 'CounterData 2',
  },
  CounterData: {
    byteCount: 'int64 1',
    packetCount: 'int64 2',
  },
  MeterCounterData: {
    green: 'CounterData 1',
    yellow: 'CounterData 2',
    red: 'CounterData 3',
  },
  PacketReplicationEngineEntry: {
    'oneof:type': {
      multicastGroupEntry: 'MulticastGroupEntry 1',
      cloneSessionEntry: 'CloneSessionEntry 2',
    },
  },
  BackupReplica: {
    port: 'bytes 1',
    instance: 'uint32 2',
  },
  Replica: {
    'oneof:portKind': {
      egressPort: 'uint32 1',
      port: 'bytes 3',
    },
    instance: 'uint32 2',
    backupReplicas: 'repeated BackupReplica 4',
  },
  MulticastGroupEntry: {
    multicastGroupId: 'uint32 1',
    replicas: 'repeated Replica 2',
    metadata: 'bytes 3',
  },
  CloneSessionEntry: {
    sessionId: 'uint32 1',
    replicas: 'repeated Replica 2',
    classOfService: 'uint32 3',
    packetLengthBytes: 'int32 4',
  },
  ValueSetMember: {
    match: 'repeated FieldMatch 1',
  },
  ValueSetEntry: {
    valueSetId: 'uint32 1',
    members: 'repeated ValueSetMember 2',
  },
  RegisterEntry: {
    registerId: 'uint32 1',
    index: 'Index 2',
    data: 'P4Data 3',
  },
  DigestEntry: {
    digestId: 'uint32 1',
    config: 'DigestEntry.Config 2',
  },
  'DigestEntry.Config': {
    maxTimeoutNs: 'int64 1',
    maxListSize: 'int32 2',
    ackTimeoutNs: 'int64 3',
  },
} as const;
