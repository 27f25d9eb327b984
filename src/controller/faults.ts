import { dirname, resolve } from 'node:path';
import type { Diagnostic } from '../diagnostics/index.ts';
import { jsonFault } from '../import/json/parse.ts';

const HELP = 'see docs/deploy.md, or let your editor check the file against schema/deployment.schema.json';

/** What is wrong at a place of a deployment file. */
export const deploymentFault = (file: string, path: readonly PropertyKey[], expected: string): Diagnostic =>
  jsonFault(file, path, expected, HELP);

/** A path of a file as this process opens it: relative paths begin at the folder of that file. */
export const beside = (file: string, path: string): string => resolve(dirname(resolve(file)), path);
