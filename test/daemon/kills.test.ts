/** A few of the kills of `npm run attack`, so that they stand as a test too. */
import { expect, it } from 'vitest';
import { killController } from '../../scripts/attack/controller-kills.ts';
import { FROM_SOURCE } from '../../scripts/attack/kills.ts';
import { describeWithTools } from '../support/machine.ts';

describeWithTools(['clang'], 'a controller that is killed in rollouts', () => {
  it('leaves one version on every path, and a log of all that it did', async () => {
    const { figures, faults } = await killController(2, 20_261_128, FROM_SOURCE);
    expect(faults).toEqual([]);
    expect(figures).toMatchObject({ kills: 2, rollouts: 3 });
  }, 400_000);
});
