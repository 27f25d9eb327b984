import { expect, it } from 'vitest';
import { hostileFile } from '../../scripts/attack/import-mutations.ts';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { importBytes } from '../../src/import/index.ts';

/** A sample of what `npm run attack` does; number 210 once ended in an internal error. */
it('ends in a model or in messages, whatever the file', async () => {
  const ends = { imported: 0, refused: 0 };
  for (let n = 0; n < 300; n++) {
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
