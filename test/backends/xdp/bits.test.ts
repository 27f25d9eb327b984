import { describe, expect, it } from 'vitest';
import { planXdp, type XdpOptions } from '../../../src/backends/xdp/plan.ts';
import { planReplacement } from '../../../src/backends/xdp/replacement.ts';
import { encodeWeights } from '../../../src/backends/xdp/weights.ts';
import { importBytes } from '../../../src/import/index.ts';
import type { JsonLayerInput } from '../../../src/import/json/schema.ts';
import type { Model } from '../../../src/model/model.ts';
import { interpret } from '../../../src/reference/interpreter.ts';
import { loadXdp } from '../../../src/runtime/xdp/engine.ts';
import { decodePacket, framePayload } from '../../../src/wire/index.ts';
import { tensor, writeOnnx } from '../../import/onnx-writer.ts';
import { QonnxNet } from '../../import/qonnx-net.ts';
import { requestFrame } from '../../support/frames.ts';
import { describeWith, loading } from '../../support/machine.ts';
import { modelOf, rowsOf } from '../../support/models.ts';
import { compareWithRuntime } from '../../support/onnx-runtime.ts';
import { type Random, random, randomRows } from '../../support/random.ts';
import { compareXdp, inParallel } from '../../support/xdp.ts';

const s8 = { element: 'int8', scale: 1, zeroPoint: 0 } as const;

/** Weights of -1, 0 and 1 times a number of each output; some outputs have no others than 0. */
function fewWeights(r: Random, taps: number, outs: number, ternary: boolean): number[][] {
  return Array.from({ length: outs }, () => {
    const factor = r.pick([1, 1, 2, 5]);
    const kinds = ternary ? (r.chance(0.1) ? [0] : [-1, 0, 1]) : [-1, 1];
    return Array.from({ length: taps }, () => factor * r.pick(kinds));
  });
}

/** Two values from a sum: `least` up to about zero, `least + step` above. */
const stepOf = (r: Random, outs: number, least: number, step: number) => ({
  multiplier: Array.from({ length: outs }, () => step),
  offset: Array.from({ length: outs }, () => least + step * r.int(-3, 3)),
  shift: 0,
  min: least,
  max: least + step,
});

const TWO_VALUES = [
  [0, 1],
  [-1, 2],
  [-7, 12],
  [126, 1],
] as const;

/** A table of two or a few values, then layers of few weights, each with outputs of a kind of its own. */
function fewLevels(seed: number): Model {
  const r = random(seed);
  let taps = r.pick([1, 7, 8, 63, 64, 65, 127, 128, 130, 200, 1700]);
  const inputs = taps;
  const [least, step] = r.pick(TWO_VALUES);
  const count = r.pick([2, 2, 2, 4, 16]);
  const among = count === 2 ? [least, least + step] : Array.from({ length: count }, (_, k) => k - 2);
  const layers: JsonLayerInput[] = [
    {
      kind: 'lut',
      table: Array.from({ length: 256 }, () => r.pick(among)),
      output: { ...s8, zeroPoint: r.int(-3, 3) },
    },
  ];
  for (let depth = r.int(1, 3); depth > 0; depth--) {
    const outs = r.pick([1, 2, 5, 10, 33, 64]);
    const weights = fewWeights(r, taps, outs, r.chance(0.5)).flat();
    const bias = Array.from({ length: outs }, () => r.int(-9, 9));
    const [low, by] = r.pick(TWO_VALUES);
    const linear = { kind: 'dense' as const, weights, bias };
    const kind = depth === 1 ? r.pick(['line', 'step']) : r.pick(['few', 'step', 'step']);
    if (kind === 'step') layers.push({ ...linear, output: s8, requantiser: stepOf(r, outs, low, by) });
    else
      layers.push({
        ...linear,
        weightScale: r.pick([0.25, 0.37, 3]),
        output: { ...s8, zeroPoint: r.int(-20, 20) },
        rounding: r.pick(['onnx', 'half-up', 'tflite']),
      });
    if (kind === 'few') layers.push({ kind: 'clamp', min: 0, max: r.pick([1, 3, 15]) });
    taps = outs;
  }
  return modelOf({ ...s8, zeroPoint: -9, shape: [inputs] }, layers, `few-${seed}`);
}

const bitsOf = (model: Model, options: XdpOptions = {}) =>
  planXdp(model, { mtu: 9000, ...options }).plan!.layers.map(
    (p) => p.kind === 'matrix' && p.bits !== undefined,
  );

describeWith(loading, 'layers that count bits in the kernel', () => {
  it('give the integers of the reference, whatever the values, weights and sizes', async () => {
    const jobs = Array.from({ length: 48 }, (_, seed) => ({ seed, model: fewLevels(seed) }));
    const options = (seed: number): XdpOptions => ({
      mtu: 9000,
      bits: 'always',
      ...(seed % 5 === 0 && { weights: 'static' as const }),
    });
    const results = await inParallel(jobs, 2, async ({ seed, model }) => ({
      seed,
      counted: bitsOf(model, options(seed)).slice(1),
      ...(await compareXdp(model, options(seed), rowsOf(random(seed), model, 12))),
    }));
    expect(results.filter(({ mismatches }) => mismatches > 0)).toEqual([]);
    expect(results.filter(({ foretold, verified }) => verified > foretold)).toEqual([]);
    expect(results.flatMap(({ counted }) => counted).every(Boolean)).toBe(true);
  }, 300_000);

  it('of QONNX give the numbers of ONNX Runtime', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const build = (plain: boolean) => {
        const n = new QonnxNet(plain);
        const r = random(seed);
        const matrix = (taps: number, outs: number) =>
          seed % 2 === 0
            ? n.bipolar(n.reals(r, [taps, outs]), 0.25)
            : n.quant(n.reals(r, [taps, outs]), { bits: 2, scale: 0.5, signed: true, narrow: true });
        const shifted = (x: string, outs: number) =>
          n.node('Add', [x, n.constant('b', tensor('float', [outs], new Array(outs).fill(0.013)))]);
        let x = n.quant('x', { bits: 8, scale: 0.03, signed: true });
        x = n.bipolar(shifted(n.node('MatMul', [x, matrix(12, 150)]), 150), 0.9);
        x = n.bipolar(shifted(n.node('MatMul', [x, matrix(150, 70)]), 70), 0.5);
        x = n.quant(n.node('Relu', [n.node('MatMul', [x, matrix(70, 40)])]), {
          bits: 2,
          scale: 2,
          signed: false,
        });
        x = n.quant(n.node('MatMul', [x, matrix(40, 6)]), { bits: 8, scale: 0.1137, signed: true });
        return writeOnnx(n.graph({ type: 'float', dims: ['N', 12] }, x, 'float', 17));
      };
      const imported = await importBytes(build(false), 'few.onnx');
      const rows = randomRows(random(seed + 9), 30, 12);
      expect(await compareWithRuntime(build(true), imported, rows)).toMatchObject({ mismatches: 0 });
      expect(bitsOf(imported.model)).toEqual([false, true, expect.any(Boolean), expect.any(Boolean)]);
      const options = { mtu: 9000, bits: 'always' } as const;
      expect(await compareXdp(imported.model, options, rows)).toMatchObject({ mismatches: 0 });
    }
  }, 120_000);

  it('hold versions of other such weights', async () => {
    const [one, two] = [signs(1), signs(2)];
    const { plan } = planXdp(one);
    using device = await loadXdp(plan!);
    const next = planReplacement(plan!, two, 2);
    device.install(1, { modelId: 1, modelVersion: 2, weights: encodeWeights(next) });
    const row = rowsOf(random(5), one, 1);
    const ask = (modelVersion: number) => {
      const { packet } = device.program.testRun({ packet: requestFrame(plan!, row, { modelVersion }) });
      return [...decodePacket(framePayload(packet)!)!.activations];
    };
    const [first, second] = [one, two].map((model) => [...interpret(model, row)]);
    expect(first).not.toEqual(second);
    expect([ask(0), ask(1), ask(2)]).toEqual([first, first, second]);
    device.activate(1);
    expect([ask(0), ask(1), ask(2)]).toEqual([second, first, second]);
  });
});

interface Change {
  readonly weight?: number;
  readonly inputs?: readonly number[];
  readonly outputs?: readonly [least: number, step: number];
}

/** 128 signs, 64 of their sums' signs, 10 sums; with something of the middle layer changed. */
function signs(seed: number, { weight, inputs = [-1, 1], outputs = [0, 1] }: Change = {}): Model {
  const r = random(seed);
  const table = Array.from({ length: 256 }, (_, i) => inputs[Math.floor((i * inputs.length) / 256)]!);
  const middle = fewWeights(r, 128, 64, false).flat();
  if (weight !== undefined) middle[700] = weight;
  return modelOf({ ...s8, shape: [128] }, [
    { kind: 'lut', table, output: s8 },
    { kind: 'dense', name: 'middle', weights: middle, output: s8, requantiser: stepOf(r, 64, ...outputs) },
    {
      kind: 'dense',
      name: 'last',
      weights: fewWeights(r, 64, 10, true).flat(),
      weightScale: 0.3,
      output: s8,
    },
  ]);
}

describe('bits are counted', () => {
  it('where inputs have two values, and weights signs, and lanes would take longer', () => {
    expect(bitsOf(signs(1))).toEqual([false, true, true]);
    expect(bitsOf(signs(1), { bits: 'off' })).toEqual([false, false, false]);
    expect(bitsOf(signs(1), { lanes: 'off' })).toEqual([false, false, false]);
    expect(bitsOf(signs(1, { weight: 3 }))).toEqual([false, false, true]);
  });

  it('but not of what comes off the wire, which may be any byte', () => {
    expect(bitsOf(signs(1), { from: 1 })).toEqual([false, true]);
  });

  it.each<[Change, string]>([
    [{ weight: 3 }, 'its weights are not -1, 0 and 1 times one number an output'],
    [{ weight: 0 }, 'a weight is 0, and the program holds signs alone'],
    [{ inputs: [-1, 0, 1] }, 'its inputs may have other values than -1, 1'],
    [{ outputs: [-1, 2] }, 'its outputs may have other values than 0 and 1'],
  ])('and what replaces them has to be alike: %o', (change, message) => {
    expect(() => planReplacement(planXdp(signs(1)).plan!, signs(2, change), 2)).toThrow(message);
  });

  it('weights of signs stand in lanes, too, where the program has such', () => {
    const lanes = planXdp(signs(1), { bits: 'off' }).plan!;
    const held = planXdp(signs(1, { weight: 3 })).plan!;
    expect(encodeWeights(planReplacement(lanes, signs(2), 2))).toHaveLength(encodeWeights(lanes).length);
    expect(encodeWeights(planReplacement(held, signs(2), 2))).toHaveLength(encodeWeights(held).length);
  });
});
