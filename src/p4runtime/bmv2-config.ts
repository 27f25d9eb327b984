import { refusal } from './errors.ts';
import type { P4InfoIndex } from './p4info-index.ts';

interface Bmv2Table {
  readonly name: string;
  readonly kinds: readonly string[];
}

interface Bmv2Program {
  readonly tables: ReadonlyMap<string, Bmv2Table>;
  /**
   * Numbers of parameters by the name of the action. One name may stand for several: where `apply` calls an action, p4c writes
   * it out once more, with the arguments in place of the parameters.
   */
  readonly actions: ReadonlyMap<string, ReadonlySet<number>>;
}

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** The program that p4c wrote for BMv2; undefined for configurations of other targets. */
function parse(deviceConfig: Uint8Array): Bmv2Program | undefined {
  if (deviceConfig[0] !== 0x7b) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(deviceConfig).toString('utf8'));
  } catch {
    return undefined;
  }
  const pipelines = field(json, 'pipelines');
  if (!Array.isArray(pipelines) || field(json, '__meta__') === undefined) return undefined;
  const tables = pipelines
    .flatMap((p) => list(field(p, 'tables')))
    .map((t) => {
      const kinds = list(field(t, 'key')).map((k) => text(field(k, 'match_type')));
      return { name: text(field(t, 'name')), kinds };
    });
  const actions = new Map<string, Set<number>>();
  for (const a of list(field(json, 'actions'))) {
    const name = text(field(a, 'name'));
    const counts = actions.get(name) ?? new Set();
    actions.set(name, counts.add(list(field(a, 'runtime_data')).length));
  }
  return { tables: new Map(tables.map((t) => [t.name, t])), actions };
}

/**
 * BMv2 takes any P4Info with any program, and fails later, entry by entry. So what names and numbers tell is compared
 * before the push. What p4c leaves out of the program because it does nothing may still be in the P4Info, and passes; so do
 * configurations that are not p4c's JSON for BMv2.
 * @throws P4RuntimeError `bad-p4info` that names the first difference
 */
export function checkBmv2Config(index: P4InfoIndex, deviceConfig: Uint8Array): void {
  const program = parse(deviceConfig);
  if (program === undefined) return;
  const named = [...index.tables];
  const foreign = named.length > 0 && named.every((table) => !program.tables.has(table.name));
  // p4c makes tables of its own, with names that nobody gives.
  if (foreign && [...program.tables.keys()].some((name) => !name.startsWith('tbl_')))
    throw refusal(
      'bad-p4info',
      `the P4Info has a table ${named[0]!.name}, the program has not, nor any other of its tables`,
    );
  for (const table of named) {
    const own = program.tables.get(table.name);
    if (own === undefined) continue;
    // A selector's fields are keys of the program and none of the P4Info.
    const kinds = own.kinds.filter((kind) => kind !== 'selector');
    if (kinds.length !== table.fields.size)
      throw refusal(
        'bad-p4info',
        `${table.name} has ${table.fields.size} match fields in the P4Info, ${kinds.length} in the program`,
      );
  }
  for (const action of index.actions) {
    const counts = program.actions.get(action.name);
    if (counts === undefined || counts.has(action.params.size)) continue;
    throw refusal(
      'bad-p4info',
      `${action.name} has ${action.params.size} parameters in the P4Info, ${[...counts].join(' or ')} in the program`,
    );
  }
}
