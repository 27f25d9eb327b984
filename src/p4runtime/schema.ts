import protobuf from 'protobufjs';
import { descriptorOf, type Enums, type Messages, type Services } from './schema-dsl.ts';

/**
 * The parts of P4Runtime 1.4 that this client speaks (https://p4.org/p4-spec/p4runtime/): packages, names and numbers
 * are the standard's. Fields that are left out are skipped when read, as protobuf has it.
 */
const messages: Messages = {
  'google.protobuf.Any': { type_url: 'string 1', value: 'bytes 2' },
  'google.rpc.Status': { code: 'int32 1', message: 'string 2', details: 'repeated google.protobuf.Any 3' },

  'p4.config.v1.P4Info': {
    pkgInfo: 'PkgInfo 1',
    tables: 'repeated Table 2',
    actions: 'repeated Action 3',
    counters: 'repeated Counter 5',
    directCounters: 'repeated DirectCounter 6',
    typeInfo: 'P4TypeInfo 200',
  },
  'p4.config.v1.PkgInfo': { name: 'string 1', version: 'string 2', arch: 'string 5' },
  'p4.config.v1.P4TypeInfo': {},
  'p4.config.v1.P4NamedType': { name: 'string 1' },
  'p4.config.v1.Preamble': {
    id: 'uint32 1',
    name: 'string 2',
    alias: 'string 3',
    annotations: 'repeated string 4',
  },
  'p4.config.v1.MatchField': {
    id: 'uint32 1',
    name: 'string 2',
    annotations: 'repeated string 3',
    bitwidth: 'int32 4',
    matchType: 'MatchType 5',
    typeName: 'P4NamedType 8',
  },
  'p4.config.v1.Table': {
    preamble: 'Preamble 1',
    matchFields: 'repeated MatchField 2',
    actionRefs: 'repeated ActionRef 3',
    constDefaultActionId: 'uint32 4',
    initialDefaultAction: 'TableActionCall 5',
    implementationId: 'uint32 6',
    directResourceIds: 'repeated uint32 7',
    size: 'int64 8',
    idleTimeoutBehavior: 'IdleTimeoutBehavior 9',
    isConstTable: 'bool 10',
    hasInitialEntries: 'bool 11',
  },
  'p4.config.v1.TableActionCall': { actionId: 'uint32 1', arguments: 'repeated Argument 4' },
  'p4.config.v1.TableActionCall.Argument': { paramId: 'uint32 2', value: 'bytes 3' },
  'p4.config.v1.ActionRef': { id: 'uint32 1', annotations: 'repeated string 2', scope: 'Scope 3' },
  'p4.config.v1.Action': { preamble: 'Preamble 1', params: 'repeated Param 2' },
  'p4.config.v1.Action.Param': {
    id: 'uint32 1',
    name: 'string 2',
    annotations: 'repeated string 3',
    bitwidth: 'int32 4',
    typeName: 'P4NamedType 6',
  },
  'p4.config.v1.CounterSpec': { unit: 'Unit 1' },
  'p4.config.v1.Counter': {
    preamble: 'Preamble 1',
    spec: 'CounterSpec 2',
    size: 'int64 3',
    indexTypeName: 'P4NamedType 4',
  },
  'p4.config.v1.DirectCounter': { preamble: 'Preamble 1', spec: 'CounterSpec 2', directTableId: 'uint32 3' },

  'p4.v1.Uint128': { high: 'uint64 1', low: 'uint64 2' },
  'p4.v1.WriteRequest': {
    deviceId: 'uint64 1',
    electionId: 'Uint128 3',
    updates: 'repeated Update 4',
    atomicity: 'Atomicity 5',
    role: 'string 6',
  },
  'p4.v1.WriteResponse': {},
  'p4.v1.ReadRequest': { deviceId: 'uint64 1', entities: 'repeated Entity 2', role: 'string 3' },
  'p4.v1.ReadResponse': { entities: 'repeated Entity 1' },
  'p4.v1.Update': { type: 'Type 1', entity: 'Entity 2' },
  'p4.v1.Entity': {
    'oneof:entity': {
      tableEntry: 'TableEntry 2',
      counterEntry: 'CounterEntry 7',
      directCounterEntry: 'DirectCounterEntry 8',
    },
  },
  'p4.v1.TableEntry': {
    tableId: 'uint32 1',
    match: 'repeated FieldMatch 2',
    action: 'TableAction 3',
    priority: 'int32 4',
    counterData: 'CounterData 7',
    isDefaultAction: 'bool 8',
    metadata: 'bytes 11',
    isConst: 'bool 13',
  },
  'p4.v1.FieldMatch': {
    fieldId: 'uint32 1',
    'oneof:fieldMatchType': {
      exact: 'Exact 2',
      ternary: 'Ternary 3',
      lpm: 'LPM 4',
      range: 'Range 6',
      optional: 'Optional 7',
    },
  },
  'p4.v1.FieldMatch.Exact': { value: 'bytes 1' },
  'p4.v1.FieldMatch.Ternary': { value: 'bytes 1', mask: 'bytes 2' },
  'p4.v1.FieldMatch.LPM': { value: 'bytes 1', prefixLen: 'int32 2' },
  'p4.v1.FieldMatch.Range': { low: 'bytes 1', high: 'bytes 2' },
  'p4.v1.FieldMatch.Optional': { value: 'bytes 1' },
  'p4.v1.TableAction': { 'oneof:type': { action: 'Action 1' } },
  'p4.v1.Action': { actionId: 'uint32 1', params: 'repeated Param 4' },
  'p4.v1.Action.Param': { paramId: 'uint32 2', value: 'bytes 3' },
  'p4.v1.Index': { index: 'int64 1' },
  'p4.v1.CounterEntry': { counterId: 'uint32 1', index: 'Index 2', data: 'CounterData 3' },
  'p4.v1.DirectCounterEntry': { tableEntry: 'TableEntry 1', data: 'CounterData 2' },
  'p4.v1.CounterData': { byteCount: 'int64 1', packetCount: 'int64 2' },
  'p4.v1.StreamMessageRequest': { 'oneof:update': { arbitration: 'MasterArbitrationUpdate 1' } },
  'p4.v1.StreamMessageResponse': {
    'oneof:update': { arbitration: 'MasterArbitrationUpdate 1', error: 'StreamError 6' },
  },
  'p4.v1.StreamError': { canonicalCode: 'int32 1', message: 'string 2', space: 'string 3', code: 'int32 4' },
  'p4.v1.MasterArbitrationUpdate': {
    deviceId: 'uint64 1',
    role: 'Role 2',
    electionId: 'Uint128 3',
    status: 'google.rpc.Status 4',
  },
  'p4.v1.Role': { config: 'google.protobuf.Any 2', name: 'string 3' },
  'p4.v1.SetForwardingPipelineConfigRequest': {
    deviceId: 'uint64 1',
    electionId: 'Uint128 3',
    action: 'Action 4',
    config: 'ForwardingPipelineConfig 5',
    role: 'string 6',
  },
  'p4.v1.SetForwardingPipelineConfigResponse': {},
  'p4.v1.ForwardingPipelineConfig': {
    p4info: 'p4.config.v1.P4Info 1',
    p4DeviceConfig: 'bytes 2',
    cookie: 'Cookie 3',
  },
  'p4.v1.ForwardingPipelineConfig.Cookie': { cookie: 'uint64 1' },
  'p4.v1.Error': { canonicalCode: 'int32 1', message: 'string 2', space: 'string 3', code: 'int32 4' },
  'p4.v1.CapabilitiesRequest': { deviceId: 'uint64 1' },
  'p4.v1.CapabilitiesResponse': { p4runtimeApiVersion: 'string 1' },
};

const enums: Enums = {
  'p4.config.v1.MatchField.MatchType': {
    UNSPECIFIED: 0,
    EXACT: 2,
    LPM: 3,
    TERNARY: 4,
    RANGE: 5,
    OPTIONAL: 6,
  },
  'p4.config.v1.Table.IdleTimeoutBehavior': { NO_TIMEOUT: 0, NOTIFY_CONTROL: 1 },
  'p4.config.v1.ActionRef.Scope': { TABLE_AND_DEFAULT: 0, TABLE_ONLY: 1, DEFAULT_ONLY: 2, GROUP_ACTION: 3 },
  'p4.config.v1.CounterSpec.Unit': { UNSPECIFIED: 0, BYTES: 1, PACKETS: 2, BOTH: 3 },
  'p4.v1.WriteRequest.Atomicity': { CONTINUE_ON_ERROR: 0, ROLLBACK_ON_ERROR: 1, DATAPLANE_ATOMIC: 2 },
  'p4.v1.Update.Type': { UNSPECIFIED: 0, INSERT: 1, MODIFY: 2, DELETE: 3 },
  'p4.v1.SetForwardingPipelineConfigRequest.Action': {
    UNSPECIFIED: 0,
    VERIFY: 1,
    VERIFY_AND_SAVE: 2,
    VERIFY_AND_COMMIT: 3,
    COMMIT: 4,
    RECONCILE_AND_COMMIT: 5,
  },
};

const services: Services = {
  'p4.v1.P4Runtime': {
    Write: ['WriteRequest', 'WriteResponse'],
    Read: ['ReadRequest', 'stream ReadResponse'],
    SetForwardingPipelineConfig: [
      'SetForwardingPipelineConfigRequest',
      'SetForwardingPipelineConfigResponse',
    ],
    StreamChannel: ['stream StreamMessageRequest', 'stream StreamMessageResponse'],
    Capabilities: ['CapabilitiesRequest', 'CapabilitiesResponse'],
  },
};

export const p4runtimeDescriptor = descriptorOf(messages, enums, services);

/** The same, for encoding and decoding single messages. */
export const p4runtimeRoot = protobuf.Root.fromJSON(p4runtimeDescriptor);
p4runtimeRoot.resolveAll();
