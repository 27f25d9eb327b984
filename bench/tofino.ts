/**
 * What is foretold of programs for Tofino beside what the open compiler and its assembler placed:
 * `npx tsx bench/tofino.ts FOLDER...`, each made by `intransit compile --target tna` with both tools on the PATH.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { processIo, table } from '../src/cli/io.ts';
import { JUDGED_FILE } from '../src/toolchain/tofino.ts';

const manifestShape = z.looseObject({
  chip: z.string(),
  model: z.looseObject({ name: z.string() }),
  weights: z.looseObject({ count: z.number() }),
  approximation: z.looseObject({ agreement: z.number() }).optional(),
  foretold: z.looseObject({
    stages: z.looseObject({ ingress: z.number(), egress: z.number() }),
    needs: z.array(z.looseObject({ resource: z.string(), need: z.number() })),
  }),
});

const judgedShape = z.looseObject({
  stages: z.looseObject({ ingress: z.number(), egress: z.number() }),
  sram: z.number(),
  tcam: z.number(),
  busBytes: z.number(),
});

const read = (folder: string, name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));

function rowOf(folder: string): string[] {
  const { chip, model, weights, approximation, foretold } = manifestShape.parse(
    read(folder, 'manifest.json'),
  );
  const judged = judgedShape.parse(read(folder, JUDGED_FILE));
  const need = (resource: string) => foretold.needs.find((n) => n.resource === resource)?.need ?? 0;
  const beside = (before: number, made: number) => `${before} / ${made}`;
  return [
    model.name,
    chip,
    `${weights.count}`,
    approximation?.agreement.toFixed(3) ?? 'exact',
    beside(foretold.stages.ingress, judged.stages.ingress),
    beside(foretold.stages.egress, judged.stages.egress),
    beside(need('SRAM'), judged.sram),
    beside(need('TCAM'), judged.tcam),
    beside(need('action data bus'), judged.busBytes),
  ];
}

const HEAD = ['network', 'chip', 'entries', 'agreement', 'ingress', 'egress', 'SRAM', 'TCAM', 'bus bytes'];

const io = processIo();
const folders = process.argv.slice(2);
if (folders.length === 0) {
  io.err('usage: npx tsx bench/tofino.ts FOLDER...\n');
  process.exitCode = 2;
} else {
  io.out(`foretold / judged\n${table([HEAD, ...folders.map(rowOf)])}`);
}
