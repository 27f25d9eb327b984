import { describe, expect, it } from 'vitest';
import { nodeModel } from '../../src/planner/node-kinds.ts';
import { computeNs } from '../../src/targets/cost-model.ts';
import { fitCost, type Sample } from '../../src/targets/fit.ts';
import { random } from '../support/random.ts';

const sample = (multiplies: number, neurons: number, ns: number): Sample => ({
  work: { multiplies, neurons },
  ns,
});

describe('fitCost', () => {
  it('finds the coefficients behind exact samples', () => {
    for (let seed = 0; seed < 100; seed++) {
      const r = random(seed);
      const [fixed, a, b] = [r.next() * 100 + 1, r.next(), r.next() * 5];
      const samples = Array.from({ length: 6 }, () => {
        const [m, n] = [r.int(1, 10_000), r.int(1, 500)];
        return sample(m, n, fixed + a * m + b * n);
      });
      const fit = fitCost(samples);
      expect(fit.fixedNs).toBeCloseTo(fixed, 4);
      expect(fit.multiplyNs).toBeCloseTo(a, 6);
      expect(fit.neuronNs).toBeCloseTo(b, 5);
      expect(fit.worstError).toBeLessThan(1e-6);
    }
  });

  it('keeps coefficients from falling below zero', () => {
    // A straight line would cross zero between the two.
    const fit = fitCost([sample(1, 10, 1), sample(10, 10, 1000), sample(20, 10, 2100)]);
    expect(Math.min(fit.fixedNs, fit.multiplyNs, fit.neuronNs)).toBeGreaterThanOrEqual(0);
  });

  it('makes do with one sample, and with samples that cannot be told apart', () => {
    expect(fitCost([sample(100, 0, 50)]).worstError).toBeCloseTo(0);
    expect(fitCost([sample(10, 10, 5), sample(20, 20, 10)]).worstError).toBeCloseTo(0);
  });

  it('is least squares: no nearby coefficients are better', () => {
    const samples = [
      sample(700, 32, 268),
      sample(176, 32, 109),
      sample(8640, 768, 3224),
      sample(416, 55, 195),
    ];
    const fit = fitCost(samples);
    const residual = (c: readonly number[]) =>
      samples.reduce(
        (s, { work, ns }) => s + ((c[0]! + c[1]! * work.multiplies + c[2]! * work.neurons) / ns - 1) ** 2,
        0,
      );
    const at = [fit.fixedNs, fit.multiplyNs, fit.neuronNs];
    for (let k = 0; k < 3; k++)
      for (const factor of [0.99, 1.01])
        expect(residual(at.map((c, i) => (i === k ? c * factor : c)))).toBeGreaterThanOrEqual(
          residual(at) - 1e-12,
        );
  });
});

describe('the default cost models', () => {
  it('come from measurements, and say which', () => {
    for (const kind of ['edge', 'worker', 'xdp', 'v1model'] as const) {
      expect(nodeModel(kind).cost!.origin).toContain('measurements');
      expect(
        computeNs(nodeModel(kind).cost!, { macs: 768, multiplies: 500, neurons: 40 }, 0),
      ).toBeGreaterThan(0);
    }
    expect(nodeModel('tna').cost.origin).toContain('not measured');
    expect(computeNs(nodeModel('tna').cost, { macs: 9, multiplies: 9, neurons: 9, stages: 10 }, 0)).toBe(180);
  });

  it('give the measured figures of BMv2 back', () => {
    const m = nodeModel('v1model').cost!;
    const us = (multiplies: number, neurons: number) =>
      (m.packetNs + computeNs(m, { macs: 0, multiplies, neurons }, 0)) / 1000;
    // digits-mlp and digits-cnn: a line through four networks meets them within a third.
    for (const ratio of [us(96, 42) / (62 + 35.6), us(1348, 778) / (62 + 262.4)]) {
      expect(ratio).toBeGreaterThan(2 / 3);
      expect(ratio).toBeLessThan(4 / 3);
    }
  });

  it('take twice as long at half load', () => {
    const m = nodeModel('xdp').cost!;
    const work = { macs: 1, multiplies: 100, neurons: 10 };
    expect(computeNs(m, work, 0.5)).toBeCloseTo(2 * computeNs(m, work, 0));
  });
});
