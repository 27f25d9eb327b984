import { basename } from 'node:path';
import { z } from 'zod';
import { isObject, type Widths, withoutMasks, wrapped } from './bmv2-expressions.ts';

/** As much of BMv2's JSON as is read or changed here. */
const primitiveSchema = z.looseObject({
  op: z.string(),
  parameters: z.array(z.looseObject({ type: z.string(), value: z.unknown() })).default([]),
});
const actionSchema = z.looseObject({
  name: z.string(),
  id: z.int(),
  runtime_data: z.array(z.looseObject({ bitwidth: z.int() })).default([]),
  primitives: z.array(primitiveSchema),
});
const tableSchema = z.looseObject({
  key: z.array(z.looseObject({ name: z.string().optional() })),
  action_ids: z.array(z.int()),
});
const fieldSchema = z.tuple([z.string(), z.union([z.int(), z.string()])]).rest(z.unknown());
const programSchema = z.looseObject({
  program: z.string().optional(),
  header_types: z.array(z.looseObject({ name: z.string(), fields: z.array(fieldSchema) })).default([]),
  headers: z.array(z.looseObject({ name: z.string(), header_type: z.string() })).default([]),
  actions: z.array(actionSchema),
  pipelines: z.array(
    z.looseObject({
      tables: z.array(tableSchema),
      conditionals: z.array(z.looseObject({ expression: z.unknown() })).default([]),
    }),
  ),
});
type Program = z.infer<typeof programSchema>;
type Action = z.infer<typeof actionSchema>;
type Primitive = z.infer<typeof primitiveSchema>;

/** Where a thing stands in the source. */
const PLACE = 'source_info';

/**
 * Links BMv2's form of a program, as p4c made it:
 * - an action that does nothing stands for the one of its name that has a body (`SHARED_BODIES`), so that the tables of a
 *   layer's slots share one;
 * - what only BMv2's log shows is left out, the names of keys and places in the source: a switch that was built with logging
 *   turns them into text for every packet, and drops the text where its log is off;
 * - masks that change nothing are left out of expressions, and so are statements that make a header valid which is: they are there
 *   for p4c.
 * @throws ZodError where it is no such program
 */
export function linkBmv2Json(text: string): string {
  const program = programSchema.parse(
    JSON.parse(text, (key, value: unknown) => (key === PLACE ? undefined : value)),
  );
  const { actions, replaced } = shareBodies(program.actions);
  for (const table of program.pipelines.flatMap((p) => p.tables)) {
    table.action_ids = table.action_ids.map((id) => replaced.get(id) ?? id);
    // Left out altogether, the name of the header would be shown.
    for (const key of table.key) key.name = '';
  }
  const field = fieldWidths(program);
  for (const action of actions) action.primitives = simplified(action, field);
  for (const condition of program.pipelines.flatMap((p) => p.conditionals))
    condition.expression = wrapped(withoutMasks(condition.expression, { field, parameter: () => undefined }));
  // Without the folder that it was compiled in: the same source gives the same bytes.
  return JSON.stringify({ ...program, program: basename(program.program ?? ''), actions });
}

/** The actions that stay, and which of them stands for each that does not. */
function shareBodies(all: Action[]): { actions: Action[]; replaced: ReadonlyMap<number, number> } {
  const isBody = (a: Action) => a.primitives.length > 0;
  const bodies = new Map(all.filter(isBody).map((a) => [a.name, a]));
  const replaced = new Map(
    all.flatMap((a) => {
      const body = isBody(a) ? undefined : bodies.get(a.name);
      return body === undefined ? [] : [[a.id, body.id]];
    }),
  );
  return { actions: all.filter((a) => !replaced.has(a.id)), replaced };
}

/** Widths of unsigned fields. */
function fieldWidths({ header_types, headers }: Program): Widths['field'] {
  const types = new Map(header_types.map((t) => [t.name, t.fields]));
  const widths = new Map(
    headers.flatMap((h) =>
      (types.get(h.header_type) ?? []).flatMap(([name, width, signed]) =>
        typeof width === 'number' && signed !== true ? [[`${h.name}.${name}`, width] as const] : [],
      ),
    ),
  );
  return (header, name) => widths.get(`${header}.${name}`);
}

/** P4Runtime gives a parameter whole bytes. */
const BYTE = 8;

/** The same effect with fewer statements and operations. */
function simplified({ primitives, runtime_data }: Action, field: Widths['field']): Primitive[] {
  const parameter = (i: number) => {
    const width = runtime_data[i]?.bitwidth;
    return width === undefined ? undefined : Math.ceil(width / BYTE) * BYTE;
  };
  const assigned = primitives.map((p) =>
    p.op === ASSIGN ? simplifiedAssignment(p, { field, parameter }) : p,
  );
  // A jump names the place of a statement.
  if (assigned.some(({ op }) => op.startsWith('_jump'))) return assigned;
  // Whoever assigns a field of a header takes it to be valid.
  const valid = new Set<unknown>();
  return assigned.filter((p) => {
    const header = p.parameters[0]?.value;
    if (p.op === ASSIGN) valid.add(Array.isArray(header) ? header[0] : undefined);
    else if (p.op === ADD_HEADER) {
      if (valid.has(header)) return false;
      valid.add(header);
    } else valid.clear();
    return true;
  });
}

const ASSIGN = 'assign';
const ADD_HEADER = 'add_header';

/** A field takes no more bits of a value than it has. */
function simplifiedAssignment(primitive: Primitive, widths: Widths): Primitive {
  const [target, value] = primitive.parameters;
  if (target?.type !== 'field' || !Array.isArray(target.value) || value?.type !== 'expression')
    return primitive;
  const simple = withoutMasks(value, widths, widths.field(`${target.value[0]}`, `${target.value[1]}`));
  return { ...primitive, parameters: [target, parameterOf(simple)] };
}

/** An expression as the parameter of a statement; what is a field or a number needs none. */
function parameterOf(simple: unknown): { type: string; value: unknown } {
  if (isObject(simple) && (simple.type === 'field' || simple.type === 'hexstr'))
    return { type: simple.type, value: simple.value };
  return { type: 'expression', value: wrapped(simple) };
}
