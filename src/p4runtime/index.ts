/** A client and a server for P4Runtime; see docs/p4runtime.md. */
export type {
  ActionInput,
  DecodedAction,
  DecodedEntryAction,
  EntryAction,
  OneShotModes,
  WeightedAction,
} from './actions.ts';
export { decodeAction, decodeEntryAction } from './actions.ts';
export * from './addresses.ts';
export { type DataValue, decodeData } from './data.ts';
export { encodeData } from './data-encode.ts';
export {
  type DecodedActionOf,
  type DecodedField,
  type DecodedTableEntry,
  decodeTableEntry,
  type MeterCounts,
} from './decode-entry.ts';
export { type DecodedDigest, type DecodedPacketIn, decodeDigest, decodePacketIn } from './decode-stream.ts';
export { difference } from './difference.ts';
export type * from './entity-inputs.ts';
export { entityKey, tableEntryKey } from './entity-key.ts';
export { P4RuntimeError, type P4RuntimeErrorKind, statusName, type UpdateError } from './errors.ts';
export { EventStream, type StreamOptions } from './event-stream.ts';
export { generateTypes } from './generate-types.ts';
export {
  type DecodedMatch,
  decodeMatch,
  type LpmValue,
  type MatchValue,
  type RangeValue,
  type TernaryValue,
} from './match.ts';
export { P4Client, type P4ClientOptions } from './p4-client.ts';
export { P4InfoIndex, type TableInfo } from './p4info-index.ts';
export { cookieOf, Pipeline, type PipelineConfig } from './pipeline.ts';
export { P4Program } from './program.ts';
export type { Descriptor } from './proto/descriptor.ts';
export type { Config, ConfigInit, Init, Message } from './proto/messages.ts';
export { configCodec, v1Codec } from './proto/registry.ts';
export { defineService } from './proto/service.ts';
export type { TlsOptions } from './rpc.ts';
export { sdnPort } from './sdn-port.ts';
export type {
  Change,
  DevicePipeline,
  DeviceSink,
  DeviceState,
  P4Device,
  RoleFilter,
} from './server/device.ts';
export type { DeviceEvent } from './server/device-server.ts';
export type { DoorTls, SocketMode } from './server/door.ts';
export { Fault } from './server/fault.ts';
export { MemoryDevice } from './server/memory-device.ts';
export { P4RuntimeServer, type P4RuntimeServerOptions } from './server/p4runtime-server.ts';
export type { PeerRule } from './server/peer.ts';
export type { SessionEvents, SessionOptions, SessionState } from './session-state.ts';
export { type Desired, keepSynchronised, type Synchronised, synchronise } from './synchronise.ts';
export { messageText, p4InfoText, writeRequestText } from './text.ts';
export { parseMessageText, parseP4Info, parseP4InfoText } from './text-parse.ts';
export { TextFormatError } from './text-tokens.ts';
export type { AnyProgram, ProgramTypes } from './typed.ts';
export type * from './types.ts';
export {
  canonical,
  canonicalBytes,
  decodeAny,
  decodeValue,
  encodeValue,
  type Port,
  portBytes,
  type Value,
} from './values.ts';
export { insertion, removal } from './whole-entity.ts';
export type { CallOptions, WriteOptions } from './writer.ts';
