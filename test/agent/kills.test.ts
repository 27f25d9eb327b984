/** A few of the kills of `npm run attack`, so that they stand as a test too. */
import { expect, it } from 'vitest';
import { FROM_SOURCE, killAgain } from '../../scripts/attack/kills.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';

describeWithTools(['strace'], 'an agent that is killed at a system call', () => {
  describeWith(loading, 'of the kernel', () => {
    it('has lost nothing that it acknowledged, and did nothing by halves', async () => {
      const { figures, faults } = await killAgain(4, 20_261_128, FROM_SOURCE);
      expect(faults).toEqual([]);
      expect(figures.kills).toBe(4);
      expect(figures.acknowledged).toBeGreaterThan(0);
    }, 400_000);
  });
});
