import { basename } from 'node:path';
import { z } from 'zod';

/** As much of BMv2's JSON as is changed here. */
const actionSchema = z.looseObject({
  name: z.string(),
  id: z.int(),
  primitives: z.array(z.unknown()),
});
const tableSchema = z.looseObject({
  key: z.array(z.looseObject({ name: z.string().optional() })),
  action_ids: z.array(z.int()),
});
const programSchema = z.looseObject({
  program: z.string().optional(),
  actions: z.array(actionSchema),
  pipelines: z.array(z.looseObject({ tables: z.array(tableSchema) })),
});

/** Where a thing stands in the source. */
const PLACE = 'source_info';

/**
 * Links BMv2's form of a program, as p4c made it:
 * - an action that does nothing stands for the one of its name that has a body (`SHARED_BODIES`), so that the tables of a
 *   layer's slots share one;
 * - what only BMv2's log shows is left out, the names of keys and places in the source: a switch that was built with logging
 *   turns them into text for every packet, and drops the text where its log is off.
 * @throws ZodError where it is no such program
 */
export function linkBmv2Json(text: string): string {
  const program = programSchema.parse(
    JSON.parse(text, (key, value: unknown) => (key === PLACE ? undefined : value)),
  );
  const isBody = (a: z.infer<typeof actionSchema>) => a.primitives.length > 0;
  const bodies = new Map(program.actions.filter(isBody).map((a) => [a.name, a]));
  const replaced = new Map(
    program.actions.flatMap((a) => {
      const body = isBody(a) ? undefined : bodies.get(a.name);
      return body === undefined ? [] : [[a.id, body.id]];
    }),
  );
  const tables = program.pipelines.flatMap((p) => p.tables);
  for (const table of tables) {
    table.action_ids = table.action_ids.map((id) => replaced.get(id) ?? id);
    // Left out altogether, the name of the header would be shown.
    for (const key of table.key) key.name = '';
  }
  const actions = program.actions.filter((a) => !replaced.has(a.id));
  // Without the folder that it was compiled in: the same source gives the same bytes.
  return JSON.stringify({ ...program, program: basename(program.program ?? ''), actions });
}
