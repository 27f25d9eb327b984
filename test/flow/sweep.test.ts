import { setTimeout } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { sweepRegularly } from '../../src/runtime/xdp/flow-sweep.ts';

it('sweeps one at a time, goes on after one that fails, and leaves the rest when it is stopped', async () => {
  let [begun, underWay, most, leftOut] = [0, 0, 0, 0];
  const sweeping = sweepRegularly(async (isOver) => {
    most = Math.max(most, ++underWay);
    begun++;
    try {
      if (begun === 1) throw new Error('the first one fails');
      // Longer than the time between two.
      for (let turn = 0; turn < 10; turn++) {
        if (isOver()) {
          leftOut++;
          return;
        }
        await setTimeout(2);
      }
    } finally {
      underWay--;
    }
  }, 5);
  await vi.waitFor(() => expect(begun > 3 && underWay === 1).toBe(true), { timeout: 20_000, interval: 1 });
  sweeping.stop();
  const atStop = begun;
  await vi.waitFor(() => expect(underWay).toBe(0), { timeout: 20_000 });
  expect(leftOut).toBe(1);
  await setTimeout(30);
  expect([begun, most]).toEqual([atStop, 1]);
});
