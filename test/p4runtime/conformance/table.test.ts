import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { cases } from './cases.ts';
import { conformanceTable, withTable } from './table.ts';

const CASES = 126;
const file = fileURLToPath(new URL('../../../docs/p4runtime.md', import.meta.url));

describe('conformance: the list', () => {
  test('every case is there once, as a test or with a stated reason', () => {
    expect(cases.map((c) => c.id)).toEqual(Array.from({ length: CASES }, (_, i) => i + 1));
    for (const { id, server, client, reason } of cases)
      expect(server !== undefined || client !== undefined || reason !== undefined, `case ${id}`).toBe(true);
    for (const { id, server, reason } of cases)
      expect(server !== undefined || reason !== undefined, `case ${id} says why no server is tested`).toBe(
        true,
      );
  });

  test('docs/p4runtime.md has it (UPDATE_DOCS=1 writes it)', () => {
    const document = readFileSync(file, 'utf8');
    const wanted = withTable(document, conformanceTable(cases));
    if (process.env.UPDATE_DOCS === '1') writeFileSync(file, wanted);
    else expect(document).toBe(wanted);
  });
});
