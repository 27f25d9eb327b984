import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { type Diagnostic, diagnostic, refuse } from '../diagnostics/index.ts';
import { pathText } from '../import/json/parse.ts';

export const deploymentFault = (file: string, path: readonly PropertyKey[], expected: string): Diagnostic =>
  diagnostic(
    'json-field',
    {
      path: pathText(path),
      expected,
      help: 'see docs/deploy.md, or let your editor check the file against schema/deployment.schema.json',
    },
    { file },
  );

export const beside = (file: string, path: string): string => resolve(dirname(resolve(file)), path);

export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return refuse('file-unreadable', { reason: (error as Error).message }, { file });
  }
}

/** What zod says, in the words of the other messages. */
export function expectation(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return `there is no field ${issue.keys.join(', ')} here`;
  return issue.message.replace(/^Invalid input: /, '').replace(/^Too (big|small): /, '');
}
