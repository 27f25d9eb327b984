import { expect, it } from 'vitest';
import { planXdp } from '../../../src/backends/xdp/plan.ts';
import type { JsonLayerInput } from '../../../src/import/json/schema.ts';
import type { Model } from '../../../src/model/model.ts';
import { describeWith, loading } from '../../support/machine.ts';
import { modelOf, rowsOf } from '../../support/models.ts';
import { random } from '../../support/random.ts';
import { compareXdp } from '../../support/xdp.ts';

const u8 = { element: 'uint8', scale: 0.05, zeroPoint: 7 } as const;
const s8 = { element: 'int8', scale: 0.05, zeroPoint: -9 } as const;

describeWith(loading, 'weights of four bits in the kernel', () => {
  /** Any weights of so many bits. */
  const layersOf = (bits: 4 | 8): Model => {
    const own = random(3);
    const [lo, hi] = bits === 4 ? [-8, 7] : [-128, 127];
    const layer = (taps: number, outs: number): JsonLayerInput => ({
      kind: 'dense',
      weights: Array.from({ length: outs * taps }, () => own.int(lo, hi)),
      weightBits: bits,
      weightScale: bits === 4 ? 0.08 : 0.005,
      output: s8,
    });
    return modelOf({ ...u8, shape: [32] }, [layer(32, 64), layer(64, 21), layer(21, 30)]);
  };
  const lanesOf = (model: Model) =>
    planXdp(model).plan!.layers.map((p) => (p.kind === 'matrix' ? p.lanes!.lanes : 0));

  it('share a word by more than those of eight bits', async () => {
    const [narrow, wide] = [lanesOf(layersOf(4)), lanesOf(layersOf(8))];
    expect(narrow[0]).toBe(4);
    expect(wide[0]).toBe(3);
    expect(narrow.every((lanes, i) => lanes >= wide[i]!)).toBe(true);
    const model = layersOf(4);
    const result = await compareXdp(model, { mtu: 4000 }, rowsOf(random(1), model, 24));
    expect(result).toMatchObject({ mismatches: 0 });
    expect(result.foretold).toBeGreaterThanOrEqual(result.verified);
  });
});
