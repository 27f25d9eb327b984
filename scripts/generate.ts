/** Writes the files that are made from definitions in `src/`; `--check` only compares, and fails on a difference. */
import { readFileSync, writeFileSync } from 'node:fs';
import { tablesP4 } from '../src/backends/p4/tables.ts';
import { deploymentSchemaText } from '../src/controller/deployment-schema.ts';
import { wireHeaderC, wireHeaderDocs, wireHeaderP4 } from '../src/wire/generate.ts';

const files: Readonly<Record<string, () => string>> = {
  'ebpf/intransit_wire.h': wireHeaderC,
  'p4/intransit_tables.p4': tablesP4,
  'p4/intransit_wire.p4': wireHeaderP4,
  'docs/wire.md': wireHeaderDocs,
  'schema/deployment.schema.json': deploymentSchemaText,
};

const check = process.argv.includes('--check');
for (const [path, make] of Object.entries(files)) {
  const url = new URL(`../${path}`, import.meta.url);
  if (!check) writeFileSync(url, make());
  else if (readFileSync(url, 'utf8') !== make()) {
    console.error(`${path} is out of date: run npm run generate`);
    process.exitCode = 1;
  }
}
