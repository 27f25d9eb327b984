import { protobufMessages, rpcMessages } from './google.ts';
import { p4dataMessages } from './p4data.ts';
import { entityMessages } from './p4entities.ts';
import { configEnums, p4infoMessages } from './p4info.ts';
import { serviceMessages, v1Enums } from './p4service.ts';
import { p4typesMessages } from './p4types.ts';

/**
 * The whole of P4Runtime 1.5 (https://p4.org/p4-spec/p4runtime/) as data: packages, names and numbers are the
 * standard's. TypeScript's types (`messages.ts`), the codec, the text format and the gRPC service all come from here.
 * A type is named relative to its package, or in full behind a dot.
 */
export const packages = {
  'google.protobuf': protobufMessages,
  'google.rpc': rpcMessages,
  'p4.config.v1': { ...p4typesMessages, ...p4infoMessages },
  'p4.v1': { ...p4dataMessages, ...entityMessages, ...serviceMessages },
} as const;

export const packageEnums = {
  'google.protobuf': {},
  'google.rpc': {},
  'p4.config.v1': configEnums,
  'p4.v1': v1Enums,
} as const;

/** Request and answer of each method, with `stream ` before one that streams. */
export const p4runtimeMethods = {
  Write: ['WriteRequest', 'WriteResponse'],
  Read: ['ReadRequest', 'stream ReadResponse'],
  SetForwardingPipelineConfig: ['SetForwardingPipelineConfigRequest', 'SetForwardingPipelineConfigResponse'],
  GetForwardingPipelineConfig: ['GetForwardingPipelineConfigRequest', 'GetForwardingPipelineConfigResponse'],
  StreamChannel: ['stream StreamMessageRequest', 'stream StreamMessageResponse'],
  Capabilities: ['CapabilitiesRequest', 'CapabilitiesResponse'],
} as const;

export const P4RUNTIME_SERVICE = 'p4.v1.P4Runtime';
