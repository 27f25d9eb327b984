/**
 * `npx tsx scripts/import-cycles.ts`: names every circle of imports among the files of src/ and ends with 1 if there is one.
 * Imports of types count as well: what cannot be read without the other belongs into one file.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';

/** File to the files that it imports. */
export type Imports = ReadonlyMap<string, readonly string[]>;

/** By `scripts/generate-proto.ts`: messages of protobuf contain each other, and so do the types that are made of them. */
const GENERATED = '/p4runtime/proto/generated/';

/** The TypeScript files below a folder that were written by hand. */
export const sourcesBelow = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => resolve(entry.parentPath, entry.name))
    .filter((file) => !file.includes(GENERATED));

/** The imports of all TypeScript files below a folder, those of its own files alone; also such as are awaited. */
export function importsBelow(folder: string): Imports {
  const files = sourcesBelow(folder);
  const known = new Set(files);
  return new Map(
    files.map((file) => {
      const { importedFiles } = ts.preProcessFile(readFileSync(file, 'utf8'), true, true);
      const found = importedFiles.map(({ fileName }) => resolve(dirname(file), fileName));
      return [file, found.filter((path) => known.has(path))] as const;
    }),
  );
}

/**
 * Sets of files that import each other, directly or not: the strongly connected components of more than one file, by Tarjan's
 * algorithm, and files that import themselves.
 */
export function circles(imports: Imports): string[][] {
  const index = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): void => {
    index.set(file, index.size);
    lowest.set(file, index.get(file)!);
    open.push(file);
    for (const next of imports.get(file) ?? []) {
      if (!index.has(next)) visit(next);
      if (open.includes(next)) lowest.set(file, Math.min(lowest.get(file)!, lowest.get(next)!));
    }
    if (lowest.get(file) !== index.get(file)) return;
    const circle = open.splice(open.indexOf(file));
    if (circle.length > 1 || imports.get(file)?.includes(file)) found.push(circle.sort());
  };
  for (const file of imports.keys()) if (!index.has(file)) visit(file);
  return found;
}

if (process.argv[1] === import.meta.filename) {
  const root = join(import.meta.dirname, '..');
  const found = circles(importsBelow(join(root, 'src')));
  for (const circle of found)
    console.error(`these files import each other: ${circle.map((file) => relative(root, file)).join(', ')}`);
  process.exit(found.length > 0 ? 1 : 0);
}
