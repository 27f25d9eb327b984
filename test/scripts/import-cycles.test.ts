import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { circles, importsBelow } from '../../scripts/import-cycles.ts';
import { testFolder } from '../support/io.ts';

const folder = testFolder();

function write(files: Readonly<Record<string, string>>): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

it('finds circles through several files, types and awaited imports', () => {
  const root = write({
    'a.ts': "import { b } from './in/b.ts';\nexport const a = b;",
    'in/b.ts': "export { c as b } from './c.ts';",
    'in/c.ts': "import type { A } from '../a.ts';\nexport const c = 1;",
    'd.ts': "export const d = async () => (await import('./e.ts')).e;",
    'e.ts': "import { d } from './d.ts';\nimport { a } from './a.ts';\nexport const e = [d, a];",
    'alone.ts': "import { a } from './a.ts';\nimport 'node:fs';\nexport const alone = a;",
  });
  const found = circles(importsBelow(root)).map((circle) => circle.map((f) => f.slice(root.length + 1)));
  expect(found.sort()).toEqual([
    ['a.ts', 'in/b.ts', 'in/c.ts'],
    ['d.ts', 'e.ts'],
  ]);
});

it('finds none where files import one another in one direction', () => {
  const imports = new Map([
    ['a', ['b', 'c']],
    ['b', ['c']],
    ['c', []],
  ]);
  expect(circles(imports)).toEqual([]);
  expect(circles(new Map([['self', ['self']]]))).toEqual([['self']]);
});
