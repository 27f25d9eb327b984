import { expect, it } from 'vitest';
import { hostileFile } from '../../scripts/attack/import-mutations.ts';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { importBytes } from '../../src/import/index.ts';

/** A sample of what `npm run attack` does; numbers 210 and 21,607 once ended in an internal error. */
it('ends in a model or in messages, whatever the file', async () => {
  const ends = { imported: 0, refused: 0 };
  for (const n of [...Array(300).keys(), 21_607]) {
    const { format, bytes } = hostileFile(n);
    try {
      await importBytes(bytes, `hostile.${format}`);
      ends.imported++;
    } catch (error) {
      if (!(error instanceof DiagnosticError)) expect.fail(`file ${n} (${format}): ${error}`);
      ends.refused++;
    }
  }
  expect(ends.imported).toBeGreaterThan(20);
  expect(ends.refused).toBeGreaterThan(100);
});
