/** Writes the files that are made from definitions in `src/`; `--check` only compares, and fails on a difference. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tablesP4 } from '../src/backends/v1model/tables.ts';
import { deploymentSchemaText } from '../src/controller/deployment-schema.ts';
import { manifestsSchemaText } from '../src/daemon/manifests/index.ts';
import { abiC } from '../src/dataplane/generate.ts';
import { featuresSchemaText, fieldsDocs } from '../src/features/docs.ts';
import { actionsSchemaText } from '../src/flow/actions.ts';
import { modelsSchemaText } from '../src/flow/models-file.ts';
import { wireHeaderC, wireHeaderDocs, wireHeaderP4 } from '../src/wire/generate.ts';
import { generatedFolder, generatedProto } from './generate-proto.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const proto = generatedProto();
const files: Readonly<Record<string, string>> = {
  'ebpf/intransit_abi.h': abiC(),
  'ebpf/intransit_wire.h': wireHeaderC(),
  'p4/intransit_tables.p4': tablesP4(),
  'p4/intransit_wire.p4': wireHeaderP4(),
  'docs/feature-fields.md': fieldsDocs(),
  'docs/wire.md': wireHeaderDocs(),
  'schema/actions.schema.json': actionsSchemaText(),
  'schema/models.schema.json': modelsSchemaText(),
  'schema/features.schema.json': featuresSchemaText(),
  'schema/deployment.schema.json': deploymentSchemaText(),
  'schema/manifests.schema.json': manifestsSchemaText(),
  ...Object.fromEntries(Object.entries(proto).map(([path, text]) => [`${generatedFolder}/${path}`, text])),
};

const check = process.argv.includes('--check');
const fault = (path: string, what: string): void => {
  console.error(`${path} ${what}: run npm run generate`);
  process.exitCode = 1;
};

for (const [path, text] of Object.entries(files)) {
  const file = join(root, path);
  if (check) {
    if (!existsSync(file) || readFileSync(file, 'utf8') !== text) fault(path, 'is out of date');
  } else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

/** What is there and no longer made. */
const folder = join(root, generatedFolder);
for (const path of existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [])
  if (path.endsWith('.ts') && !(path in proto)) {
    if (check) fault(`${generatedFolder}/${path}`, 'is no longer made');
    else rmSync(join(folder, path));
  }
