import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** What the compiler placed, as its `resources.json` has it: of ingress and egress together, but for the stages. */
export interface Placement {
  /** Stages up to the last that each gress has a table in. */
  readonly stages: { readonly ingress: number; readonly egress: number };
  readonly sram: number;
  readonly tcam: number;
  readonly busBytes: number;
  readonly tables: number;
}

const listed = z.looseObject({});

const stage = z.looseObject({
  stage_number: z.number().int().nonnegative(),
  rams: z.looseObject({ srams: z.array(listed) }),
  tcams: z.looseObject({ tcams: z.array(listed) }),
  action_bus_bytes: z.looseObject({ bytes: z.array(listed) }),
  logical_tables: z.looseObject({ ids: z.array(listed) }),
});

const file = z.looseObject({
  resources: z.looseObject({ mau: z.looseObject({ mau_stages: z.array(stage) }) }),
});

/** `stage 3 ingress:` begins what the assembly has of a stage. */
const STAGE = /^stage (\d+) (ingress|egress):/gm;

/**
 * @param resources file of the compiler, which has blocks a stage, but not of which gress a table is
 * @param assembly its file of tables, a section a stage and gress
 * @throws ZodError if the compiler wrote something else
 */
export function readPlacement(resources: string, assembly: string): Placement {
  const { mau_stages: all } = file.parse(JSON.parse(readFileSync(resources, 'utf8'))).resources.mau;
  const stages = { ingress: 0, egress: 0 };
  for (const [, number, gress] of readFileSync(assembly, 'utf8').matchAll(STAGE)) {
    const of = gress === 'ingress' ? 'ingress' : 'egress';
    stages[of] = Math.max(stages[of], Number(number) + 1);
  }
  const total = (of: (s: z.output<typeof stage>) => readonly unknown[]) =>
    all.reduce((sum, s) => sum + of(s).length, 0);
  return {
    stages,
    sram: total((s) => s.rams.srams),
    tcam: total((s) => s.tcams.tcams),
    busBytes: total((s) => s.action_bus_bytes.bytes),
    tables: total((s) => s.logical_tables.ids),
  };
}
