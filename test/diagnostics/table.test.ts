import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { diagnosticTable } from '../../src/diagnostics/table.ts';

const folder = new URL('../../src/diagnostics/messages/', import.meta.url);

it('each code stands in one file, and the table has all of them', async () => {
  const codes: string[] = [];
  for (const file of readdirSync(folder)) {
    if (file === 'entry.ts') continue;
    const [messages] = Object.values(await import(new URL(file, folder).href)) as object[];
    codes.push(...Object.keys(messages!));
  }
  expect(codes.length).toBeGreaterThan(100);
  expect(codes.sort()).toEqual(Object.keys(diagnosticTable).sort());
});
