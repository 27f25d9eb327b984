import { describe, expect, it } from 'vitest';
import { programScratchBytes } from '../../src/backends/xdp/emit.ts';
import { xdpNeeds } from '../../src/backends/xdp/needs.ts';
import { multiplies, planXdp } from '../../src/backends/xdp/plan.ts';
import { encodeWeights } from '../../src/backends/xdp/weights.ts';
import { importModel } from '../../src/import/index.ts';
import type { JsonLayerInput } from '../../src/import/json/schema.ts';
import { cutPoints } from '../../src/model/cut.ts';
import { modelChain } from '../../src/planner/model-chain.ts';
import { modelOf, step } from '../support/models.ts';

describe('cutPoints', () => {
  const output = { element: 'uint8' as const, scale: 1 };
  const dense = (name: string) => ({
    kind: 'dense' as const,
    name,
    weights: Array.from({ length: 16 }, (_, i) => i - 8),
    weightScale: 0.01,
    output,
  });
  const input = { element: 'uint8' as const, shape: [4], scale: 1 };

  it('are everywhere in a plain chain', () => {
    expect(cutPoints(modelOf(input, [dense('a'), dense('b'), dense('c')]))).toEqual([0, 1, 2, 3]);
  });

  it('are not between the ends of a residual connection', () => {
    const add = { kind: 'add' as const, name: 'sum', inputs: ['c', 'a'] as [string, string], output };
    // The output of a feeds b and the sum: behind b and behind c two values are alive.
    const layers = [dense('a'), dense('b'), dense('c'), add, dense('d')];
    expect(cutPoints(modelOf(input, layers))).toEqual([0, 1, 4, 5]);
  });

  it('are not behind the first layer where the input itself is added later', () => {
    const add = { kind: 'add' as const, name: 'sum', inputs: ['a', 'input'] as [string, string], output };
    expect(cutPoints(modelOf(input, [dense('a'), add, dense('b')]))).toEqual([0, 2, 3]);
  });
});

describe('profiles of segments', () => {
  it.each(['digits-mlp', 'traffic-mlp', 'digits-cnn'])(
    'of %s equal what the XDP backend says of each',
    async (name) => {
      const { model } = await importModel(`examples/${name}.onnx`);
      const chain = modelChain(model);
      for (let from = 0; from < chain.cuts.length; from++)
        for (let to = from + 1; to < chain.cuts.length; to++) {
          const plan = planXdp(model, { from: chain.cuts[from]!, to: chain.cuts[to]!, mtu: 65_535 }).plan!;
          const { work, needs } = chain.profile({ kind: 'xdp' }, from, to);
          expect(work.multiplies).toBe(plan.layers.reduce((sum, p) => sum + multiplies(p), 0));
          // Of packets and their frames the ends of a segment tell, and `confirm`.
          for (const need of xdpNeeds(plan))
            if (!need.layer && need.resource !== 'packet' && need.resource !== 'frame')
              expect(
                needs.find((n) => n.resource === need.resource)?.need,
                `${need.resource} ${from}..${to}`,
              ).toBe(need.need);
          const memory = 2 * encodeWeights(plan).length + programScratchBytes(plan);
          expect(needs.find((n) => n.resource === 'memory')?.need).toBe(memory);
          expect(chain.confirm({ kind: 'xdp' }, from, to)).toEqual([]);
        }
    },
  );

  it('know that layers behind signs count bits, and those of the wire do not', () => {
    const s8 = { element: 'int8', scale: 1, zeroPoint: 0 } as const;
    const signs = (taps: number, outs: number): JsonLayerInput => ({
      kind: 'dense',
      weights: Array.from({ length: taps * outs }, (_, i) => (i % 3 === 0 ? -1 : 1)),
      output: s8,
      requantiser: step(0, 1, outs),
    });
    const model = modelOf({ ...s8, shape: [64] }, [signs(64, 128), signs(128, 128), signs(128, 64)]);
    const chain = modelChain(model);
    const work = (from: number, to: number) => {
      const { layers } = planXdp(model, { from, to, mtu: 65_535 }).plan!;
      const { multiplies: foreseen } = chain.profile({ kind: 'xdp' }, from, to).work;
      expect(foreseen).toBe(layers.reduce((sum, p) => sum + multiplies(p), 0));
      return foreseen;
    };
    expect(work(0, 3)).toBeLessThan(work(0, 1) + work(1, 2) + work(2, 3));
    expect(work(1, 3)).toBeLessThan(work(1, 2) + work(2, 3));
  });

  it('know tables and words of the P4 backend', async () => {
    const { model } = await importModel('examples/digits-mlp.onnx');
    const { work, needs, unsupported } = modelChain(model).profile({ kind: 'v1model' }, 0, 2);
    expect(unsupported).toEqual([]);
    expect(work.multiplies).toBe(64 + 32);
    expect(needs.find((n) => n.resource === 'tables')?.need).toBe(2);
    expect(needs.find((n) => n.resource === 'memory')?.need).toBeGreaterThan(0);
  });
});
