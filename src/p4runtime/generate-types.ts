import type { Named, NameIndex } from './name-index.ts';
import { type FieldInfo, type MatchFieldInfo, P4InfoIndex, type TableInfo } from './p4info-index.ts';
import type { ConfigInit } from './proto/messages.ts';

const MATCH_TYPES = {
  EXACT: 'Value',
  OPTIONAL: 'Value',
  LPM: 'Value | LpmValue',
  TERNARY: 'Value | TernaryValue',
  RANGE: 'Value | RangeValue',
} as const;

/** A literal of one line, in ASCII, whatever a program calls its parts. */
const quoted = (text: string): string =>
  `'${text.replace(/[^\x20-\x7e]|['\\]/g, (c) => (c === "'" || c === '\\' ? `\\${c}` : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`))}'`;
const union = (names: readonly string[]): string =>
  names.length === 0 ? 'never' : names.map(quoted).join(' | ');

/** Every name that resolves to the object: its full name, and its alias where that is not another's too. */
function namesOf<T extends Named>(index: NameIndex<T>): readonly (readonly [name: string, item: T])[] {
  const items = [...index];
  const count = (name: string) => items.filter((i) => i.alias === name || i.name === name).length;
  return items.flatMap((item) => {
    const full = [item.name, item] as const;
    const short = item.alias !== '' && item.alias !== item.name && count(item.alias) === 1;
    return short ? [full, [item.alias, item] as const] : [full];
  });
}

function property(name: string, type: string, optional: boolean, doc: string): string[] {
  return [`/** ${doc} */`, `readonly ${quoted(name)}${optional ? '?' : ''}: ${type};`];
}

const bits = (width: number): string => (width === 0 ? 'a string' : `${width} bits`);
const numberOrString = (field: FieldInfo): string =>
  field.bitwidth === 0 ? 'string | Uint8Array' : 'Numeric';

function matchType(field: MatchFieldInfo): string {
  return MATCH_TYPES[field.match].replace('Value', numberOrString(field));
}

const block = (lines: readonly string[]): string =>
  lines.length === 0
    ? 'Record<never, never>'
    : `{\n${lines.map((l) => `  ${l.replaceAll('\n', '\n  ')}`).join('\n')}\n}`;

function matchOf(table: TableInfo): string {
  const fields = [...table.fields];
  return block(
    fields.flatMap((f) =>
      property(f.name, matchType(f), f.match !== 'EXACT', `${f.match.toLowerCase()}, ${bits(f.bitwidth)}`),
    ),
  );
}

/** Full names and short ones of some actions. */
function actionNames(index: P4InfoIndex, ids: ReadonlySet<number>): string {
  return union(namesOf(index.actions).flatMap(([name, action]) => (ids.has(action.id) ? [name] : [])));
}

/** A short name has the type of the full one. */
const sameAs = (part: string, item: Named, name: string): string | undefined =>
  name === item.name ? undefined : `readonly ${quoted(name)}: Program['${part}'][${quoted(item.name)}];`;

function tableLines(index: P4InfoIndex): string[] {
  return namesOf(index.tables).map(([name, table]) => {
    const action = actionNames(index, new Set(table.actions.keys()));
    const body = block([
      `readonly match: ${matchOf(table)};`,
      `readonly action: ${action};`,
      `readonly priority: ${table.needsPriority};`,
    ]);
    return sameAs('tables', table, name) ?? `readonly ${quoted(name)}: ${body};`;
  });
}

function actionLines(index: P4InfoIndex): string[] {
  return namesOf(index.actions).map(([name, action]) => {
    const params = [...action.params].flatMap((p) =>
      property(p.name, numberOrString(p), false, bits(p.bitwidth)),
    );
    return sameAs('actions', action, name) ?? `readonly ${quoted(name)}: ${block(params)};`;
  });
}

function packetOutLines(index: P4InfoIndex): string[] {
  const header = index.headers.find('packet_out');
  return [...(header?.fields ?? [])].flatMap((f) =>
    property(f.name, numberOrString(f), f.padding, bits(f.bitwidth)),
  );
}

const namesUnion = <T extends Named>(items: NameIndex<T>): string =>
  union(namesOf(items).map(([name]) => name));

/**
 * A TypeScript module that says what one program offers, for `P4Program<Program>`: a wrong table, field, action or
 * parameter is a compile error then. The same P4Info gives the same text.
 *
 * @param library where the module imports this package from
 * @throws P4RuntimeError `bad-p4info`
 */
export function generateTypes(p4info: ConfigInit<'P4Info'>, library = 'p4runtime-js'): string {
  const index = new P4InfoIndex(p4info);
  const profiles = namesOf(index.profiles).map(
    ([name, p]) => `readonly ${quoted(name)}: ${actionNames(index, p.actionIds)};`,
  );
  const program = block([
    `readonly tables: ${block(tableLines(index))};`,
    `readonly actions: ${block(actionLines(index))};`,
    `readonly profiles: ${block(profiles)};`,
    `readonly counters: ${namesUnion(index.counters)};`,
    `readonly meters: ${namesUnion(index.meters)};`,
    `readonly registers: ${namesUnion(index.registers)};`,
    `readonly valueSets: ${namesUnion(index.valueSets)};`,
    `readonly digests: ${namesUnion(index.digests)};`,
    `readonly externs: ${namesUnion(index.externs)};`,
    `readonly packetOut: ${block(packetOutLines(index))};`,
  ]);
  const kinds = ['LpmValue', 'RangeValue', 'TernaryValue'].filter((kind) =>
    new RegExp(`\\b${kind}\\b(?!')`).test(program),
  );
  return [
    '// Generated from a P4Info; make it again rather than edit it.',
    ...(kinds.length === 0 ? [] : [`import type { ${kinds.join(', ')} } from ${quoted(library)};`]),
    '',
    // Compilers that refuse what is not used are to find nothing.
    ...(/\bNumeric\b/.test(program) ? ['type Numeric = bigint | number | boolean | Uint8Array;', ''] : []),
    '/** What the program offers, by full name and by alias. */',
    `export interface Program ${program}`,
    '',
  ].join('\n');
}
