import { dirname, resolve } from 'node:path';
import type { Diagnostic } from '../diagnostics/index.ts';
import { jsonFault } from '../import/json/parse.ts';

const HELP = 'see docs/deploy.md, or let your editor check the file against schema/deployment.schema.json';

export const deploymentFault = (file: string, path: readonly PropertyKey[], expected: string): Diagnostic =>
  jsonFault(file, path, expected, HELP);

export const beside = (file: string, path: string): string => resolve(dirname(resolve(file)), path);
