import type { JsonLayerInput } from '../../src/import/json/schema.ts';
import type { Model } from '../../src/model/model.ts';
import { base64, modelOf, randomGrid, randomLinear } from './models.ts';
import { random } from './random.ts';

/** 1 to 3 dense layers of 1 to 12 neurons on random grids, some with ReLU, some ending in a verdict. */
export function smallMlp(seed: number): Model {
  const r = random(seed);
  const input = randomGrid(r, 0.05);
  const shape = [r.int(1, 12)];
  const layers: JsonLayerInput[] = [];
  let [grid, width] = [input, shape[0]!];
  for (let i = r.int(1, 3); i > 0; i--) {
    const outs = r.int(1, 12);
    const linear = randomLinear(r, width, outs, grid);
    layers.push({ kind: 'dense', ...linear });
    if (r.chance(0.5)) layers.push({ kind: 'relu' });
    [grid, width] = [linear.output, outs];
  }
  if (r.chance(0.3)) layers.push({ kind: 'argmax' });
  return modelOf({ ...input, shape }, layers, `small-${seed}`);
}

/** Dense layers of these widths with any weights, on grids of uint8 that their sums fill. */
export function perceptron(widths: readonly number[], seed: number): Model {
  const { input, layers, name } = perceptronDocument(widths, seed);
  return modelOf(input, layers, name);
}

/** The same as a file of a model. @param end layers behind them */
export function perceptronDocument(
  widths: readonly number[],
  seed: number,
  end: readonly JsonLayerInput[] = [],
) {
  const r = random(seed);
  const grid = { element: 'uint8', scale: 0.1, zeroPoint: 0 } as const;
  const layers = widths.slice(1).map((outs, i): JsonLayerInput => {
    const weights = Int8Array.from({ length: outs * widths[i]! }, () => r.int(-128, 127));
    return {
      kind: 'dense',
      weights: base64(weights),
      weightScale: 1 / (80 * Math.sqrt(widths[i]!)),
      bias: Array.from({ length: outs }, () => r.int(0, 8000)),
      output: { ...grid, zeroPoint: i === widths.length - 2 ? 128 : 0 },
    };
  });
  const input = { ...grid, shape: [widths[0]!] };
  return {
    format: 'intransit-model',
    version: 1,
    name: widths.join('-'),
    input,
    layers: [...layers, ...end],
  } as const;
}

const unit = { element: 'uint8', scale: 0.1 } as const;

/** Verdicts of every margin: eight inputs against three classes. */
export const marginClassifier = modelOf({ ...unit, shape: [8] }, [
  {
    kind: 'dense',
    weights: [
      [9, -3, 4, 1, -7, 5, 2, -6],
      [-4, 8, -2, 6, 3, -5, 1, 7],
      [2, 1, 7, -8, 5, 4, -9, 3],
    ],
    weightScale: 0.1,
    output: { ...unit, scale: 4, zeroPoint: 128 },
  },
  { kind: 'argmax' },
]);

/** A file of a model whose outputs are its inputs, as an object. */
export const identityDocument = (name: string, size: number) => ({
  format: 'intransit-model',
  version: 1,
  name,
  input: { element: 'uint8', shape: [size], scale: 1 },
  layers: [
    {
      kind: 'dense',
      name: 'fc',
      weights: Array.from({ length: size }, (_, i) =>
        Array.from({ length: size }, (_, j) => (i === j ? 1 : 0)),
      ),
      weightScale: 1,
      output: { element: 'uint8', scale: 1 },
    },
  ],
});
