import type { ConfigInit, Init } from './proto/messages.ts';

/** Short names of the messages that are written most often; a field that is left out has protobuf's default. */
export type P4Info = ConfigInit<'P4Info'>;
/** A table as P4Info describes it. */
export type P4InfoTable = ConfigInit<'Table'>;
/** An action as P4Info describes it. */
export type P4InfoAction = ConfigInit<'Action'>;
/** Name, id and annotations of an object of P4Info. */
export type Preamble = ConfigInit<'Preamble'>;
/** An entry, or with `isDefaultAction` what happens where none matches. */
export type TableEntry = Init<'TableEntry'>;
/** One field of an entry's key, by number. */
export type FieldMatch = Init<'FieldMatch'>;
/** Whatever a Read or a Write names: exactly one of its members is there. */
export type Entity = Init<'Entity'>;
/** An entity, and whether it is inserted, modified or deleted. */
export type Update = Init<'Update'>;
