import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { BAREFOOT, BFAS } from '../../../src/toolchain/tofino.ts';
import { intransit, testFolder } from '../../support/io.ts';
import { describeWith } from '../v1model/tools.ts';
import { comparedIn, judgedPrograms } from './programs.ts';

describeWith([BAREFOOT, BFAS], 'the open compiler for Tofino and its assembler', () => {
  const folder = testFolder();

  it.each(judgedPrograms.map((program, i) => ({ ...program, i })))(
    'place what is foretold: $name on $chip',
    { timeout: 900_000 },
    async (program) => {
      const own = join(folder, `${program.i}`);
      mkdirSync(own);
      const run = async (...argv: string[]) => {
        const { code, err } = await intransit(...argv);
        expect(code, err).toBe(0);
      };
      const out = join(own, 'out');
      const given = await program.arguments(own, run);
      await run('compile', ...given, '-o', out, '--target', 'tna', '--chip', program.chip);
      for (const { resource, foretold, placed, allowed } of comparedIn(out))
        if (allowed !== undefined)
          expect(
            Math.abs(placed - foretold),
            `${resource}: ${foretold}, placed ${placed}`,
          ).toBeLessThanOrEqual(allowed);
      if (given.includes('--features'))
        expect(readFileSync(join(out, 'program.bfa'), 'utf8')).toContain('stateful');
    },
  );
});
