import type { ConfigInit, Init } from './proto/messages.ts';

/** Short names of the messages that are written most often; a field that is left out has protobuf's default. */
export type P4Info = ConfigInit<'P4Info'>;
export type P4InfoTable = ConfigInit<'Table'>;
export type P4InfoAction = ConfigInit<'Action'>;
export type Preamble = ConfigInit<'Preamble'>;
export type TableEntry = Init<'TableEntry'>;
export type FieldMatch = Init<'FieldMatch'>;
export type Entity = Init<'Entity'>;
export type Update = Init<'Update'>;
