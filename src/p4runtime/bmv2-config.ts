import { refusal } from './errors.ts';
import type { P4InfoIndex } from './p4info-index.ts';

interface Bmv2Table {
  readonly name: string;
  readonly kinds: readonly string[];
}

interface Bmv2Program {
  readonly tables: ReadonlyMap<string, Bmv2Table>;
  /** Widths of the parameters by the name of the action; one name may stand for several equal ones. */
  readonly actions: ReadonlyMap<string, readonly number[]>;
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
  const actions = list(field(json, 'actions')).map((a) => {
    const widths = list(field(a, 'runtime_data')).map((p) => Number(field(p, 'bitwidth')));
    return [text(field(a, 'name')), widths] as const;
  });
  return { tables: new Map(tables.map((t) => [t.name, t])), actions: new Map(actions) };
}

/**
 * BMv2 takes any P4Info with any program, and fails later, entry by entry. So what names and widths tell is compared
 * before the push. Configurations that are not p4c's JSON for BMv2 pass.
 * @throws P4RuntimeError `bad-p4info` that names the first difference
 */
export function checkBmv2Config(index: P4InfoIndex, deviceConfig: Uint8Array): void {
  const program = parse(deviceConfig);
  if (program === undefined) return;
  for (const table of index.tables) {
    const own = program.tables.get(table.name);
    if (own === undefined)
      throw refusal('bad-p4info', `the P4Info has a table ${table.name}, the program has not`);
    // A selector's fields are keys of the program and none of the P4Info.
    const kinds = own.kinds.filter((kind) => kind !== 'selector');
    if (kinds.length !== table.fields.size)
      throw refusal(
        'bad-p4info',
        `${table.name} has ${table.fields.size} match fields in the P4Info, ${kinds.length} in the program`,
      );
  }
  for (const action of index.actions) {
    const widths = program.actions.get(action.name);
    if (widths === undefined) continue;
    const wanted = [...action.params].map((p) => p.bitwidth);
    // Translated types have another width for the controller.
    if (wanted.length !== widths.length)
      throw refusal(
        'bad-p4info',
        `${action.name} has ${wanted.length} parameters in the P4Info, ${widths.length} in the program`,
      );
  }
}
