import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TargetProgram } from './target.ts';

/**
 * Writes all files of a program into a folder, and compiles them unless told otherwise.
 * @returns names of all files
 * @throws DiagnosticError, BpfError where a tool is missing or refuses
 */
export async function writeProgram(
  program: TargetProgram,
  folder: string,
  compile = true,
): Promise<readonly string[]> {
  const files = program.files();
  for (const [name, content] of files) writeFileSync(join(folder, name), content);
  return [...files.keys(), ...(compile ? await program.build(folder) : [])].sort();
}
