import { expect, it } from 'vitest';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { buildNative } from '../../src/runtime/bench.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import { rowsOf } from '../support/models.ts';
import { random } from '../support/random.ts';
import { tieModels } from '../support/tie-models.ts';
import { compareXdp } from '../support/xdp.ts';

const PATIENT = 200_000;

describeWith(loading, 'ties go to even in the kernel', () => {
  it.each(tieModels(3))(
    '$name',
    async ({ model }) => {
      const rows = rowsOf(random(5), model, 60);
      const found = await compareXdp(model, {}, rows);
      expect(found.mismatches).toBe(0);
      expect(found.verified).toBeLessThanOrEqual(found.foretold);
    },
    PATIENT,
  );

  it.each(tieModels(1))(
    '$name, one multiply a weight',
    async ({ model }) => {
      expect(await compareXdp(model, { lanes: 'off' }, rowsOf(random(6), model, 60))).toMatchObject({
        mismatches: 0,
      });
    },
    PATIENT,
  );
});

describeWithTools(['gcc'], 'ties go to even in native C', () => {
  it.each(tieModels(1))('$name', async ({ model }) => {
    const rows = rowsOf(random(7), model, 200);
    using program = await buildNative(model, ['-O1', '-Wall', '-Werror']);
    expect(Buffer.compare(program.run(rows), interpretRows(model, rows))).toBe(0);
  });
});
