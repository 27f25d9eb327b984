import type { ConfigInit } from './proto/messages.ts';
import type { Entity } from './types.ts';

/** The default actions that can be set, as what puts them back: those of tables with actions of their own, where the program lets. */
export const settableDefaults = ({ tables = [] }: ConfigInit<'P4Info'>): readonly Entity[] =>
  tables
    .filter((t) => !t.constDefaultActionId && !t.implementationId)
    .map((t) => ({ tableEntry: { tableId: t.preamble?.id ?? 0, isDefaultAction: true } }));
