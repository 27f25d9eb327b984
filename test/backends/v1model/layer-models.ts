import type { JsonLayerInput } from '../../../src/import/json/schema.ts';
import type { Model } from '../../../src/model/model.ts';
import { base64, modelOf, randomGrid, randomLinear } from '../../support/models.ts';
import { type Random, random, randomRows } from '../../support/random.ts';

/** Small models of one kind of layer each, in the company in which it is found: p4c takes 15 ms a multiply-add. */

type Grid = ReturnType<typeof randomGrid>;

const tableFor = (r: Random, { element }: Grid): number[] =>
  Array.from({ length: 256 }, () => (element === 'uint8' ? r.int(0, 255) : r.int(-128, 127)));

const dense = (r: Random, inputs: number, outputs: number, grid: Grid) =>
  ({ kind: 'dense', ...randomLinear(r, inputs, outputs, grid) }) as const;

/** Rounds half away from zero, so that its lines meet there, in the middle of the clamp. */
const awayFromZero = (r: Random, inputs: number, outputs: number) =>
  ({
    kind: 'dense',
    weights: base64(Int8Array.from({ length: inputs * outputs }, () => r.int(-128, 127))),
    weightScale: Array.from({ length: outputs }, () => 0.01 + 0.01 * r.next()),
    output: { element: 'int8', scale: 0.09, zeroPoint: r.int(-40, 40) },
    rounding: 'tflite',
  }) as const;

const middle = (grid: Grid): Grid => ({ ...grid, zeroPoint: grid.element === 'uint8' ? 128 : 3 });

const qValue = (r: Random, { element }: Grid) => (element === 'uint8' ? r.int(0, 255) : r.int(-128, 127));

const makers = {
  below(r) {
    const input = middle(randomGrid(r, 0.05));
    const [inputs, hidden] = [r.int(4, 16), r.int(2, 12)];
    return modelOf({ ...input, shape: [inputs] }, [
      awayFromZero(r, inputs, hidden),
      awayFromZero(r, hidden, r.int(1, 6)),
    ]);
  },
  pad(r) {
    const input = randomGrid(r, 0.05);
    const c = r.int(1, 3);
    const pads = [r.int(0, 2), r.int(0, 2), r.int(0, 2), r.int(1, 2)] as [number, number, number, number];
    const conv = randomLinear(r, c * 2, 2, input);
    const before: JsonLayerInput[] = r.chance(0.5)
      ? [{ kind: 'conv2d', ...conv, kernel: [1, 2] }, ...(r.chance(0.5) ? [{ kind: 'relu' } as const] : [])]
      : [];
    const grid = before.length > 0 ? conv.output : input;
    const channels = before.length > 0 ? 2 : c;
    const width = (before.length > 0 ? 2 : 3) + pads[1] + pads[3];
    const height = 2 + pads[0] + pads[2];
    const after: JsonLayerInput = r.pick([
      { kind: 'conv2d', ...randomLinear(r, channels * 2, 2, grid), kernel: [2, 1], strides: [2, 2] },
      { kind: 'maxPool', kernel: [2, 2] },
      { kind: 'averagePool', kernel: [2, 2], output: randomGrid(r, grid.scale) },
      dense(r, channels * width * height, 3, grid),
      { kind: 'transpose', axes: [1, 2, 0] },
    ]);
    return modelOf({ ...input, shape: [c, 2, 3] }, [
      ...before,
      { kind: 'pad', pads, value: qValue(r, grid) },
      after,
    ]);
  },
  transpose(r) {
    const input = randomGrid(r, 0.05);
    const conv = randomLinear(r, 2, 4, input);
    return modelOf({ ...input, shape: [2, 2, 3] }, [
      { kind: 'conv2d', ...conv, kernel: [1, 1] },
      {
        kind: 'transpose',
        axes: r.pick([
          [0, 2, 1],
          [1, 0, 2],
          [1, 2, 0],
          [2, 0, 1],
          [2, 1, 0],
        ]),
      },
      r.pick([{ kind: 'maxPool', kernel: [2, 2], strides: [1, 1] }, dense(r, 24, 4, conv.output)]),
    ]);
  },
  lut(r) {
    const input = randomGrid(r, 0.05);
    const inputs = r.int(1, 20);
    const hidden = r.int(1, 20);
    const first = dense(r, inputs, hidden, input);
    const [a, b] = [randomGrid(r, 0.05), randomGrid(r, 0.05)];
    const lut = (grid: Grid) => ({ kind: 'lut', output: grid, table: tableFor(r, grid) }) as const;
    return modelOf({ ...input, shape: [inputs] }, [
      ...(r.chance(0.3) ? [lut(input)] : []),
      first,
      ...(r.chance(0.5) ? [{ kind: 'relu' } as const] : []),
      lut(a),
      ...r.pick<JsonLayerInput[]>([[dense(r, hidden, 5, a)], [lut(b)], [{ kind: 'argmax' }], []]),
    ]);
  },
  embedding(r) {
    const keyBytes = r.pick([1, 2, 4] as const);
    const [bag, bags, width] = [r.int(1, 3), r.int(1, 2), r.int(1, 9)];
    // Few enough to be constants of a program.
    const rows = keyBytes === 1 ? r.int(1, 120) : r.int(100, Math.floor(900 / (bag * bags)));
    const table = base64(Int8Array.from({ length: rows * width }, () => r.int(-128, 127)));
    const output = randomGrid(r, 0.05);
    const embedding = {
      kind: 'embedding',
      keyBytes,
      bag,
      rows,
      table,
      tableScale: 0.03,
      tableZeroPoint: r.chance(0.3) ? r.int(-100, 100) : 0,
      output,
      rounding: r.pick(['onnx', 'tflite'] as const),
    } as const;
    const shape = [keyBytes * bag * bags];
    const last = r.chance(0.6) ? [dense(r, bags * width, 4, output)] : [];
    return modelOf({ element: 'uint8', scale: 1, zeroPoint: 0, shape }, [embedding, ...last]);
  },
  groups(r) {
    const input = randomGrid(r, 0.05);
    const groups = r.pick([2, 4]);
    const first = randomLinear(r, (4 / groups) * 4, 4, input);
    const second = randomLinear(r, 2, 8, first.output);
    return modelOf({ ...input, shape: [4, 3, 3] }, [
      { kind: 'conv2d', ...first, kernel: [2, 2], groups },
      { kind: 'conv2d', ...second, kernel: [1, 2], groups: 4 },
    ]);
  },
  conv1d(r) {
    const input = randomGrid(r, 0.05);
    const first = randomLinear(r, 6, 3, input);
    return modelOf({ ...input, shape: [2, 8] }, [
      { kind: 'conv1d', ...first, kernel: 3, stride: 2, pads: [1, 1] },
      dense(r, 12, 3, first.output),
    ]);
  },
  averages(r) {
    const input = randomGrid(r, 0.05);
    const output = randomGrid(r, 0.05 * (0.5 + r.next()));
    const rounding = r.pick(['onnx', 'tflite', 'half-up'] as const);
    return modelOf({ ...input, shape: [3, 4, 4] }, [
      { kind: 'averagePool', kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], output, rounding },
      { kind: 'mean', output: randomGrid(r, 0.04), rounding },
    ]);
  },
  int4(r) {
    const input = randomGrid(r, 0.05);
    const weights = (n: number) => base64(Int8Array.from({ length: n }, () => r.int(-8, 7)));
    const output = randomGrid(r, 0.05);
    return modelOf({ ...input, shape: [12] }, [
      { kind: 'dense', weights: weights(12 * 8), weightBits: 4, weightScale: 0.04, output },
      {
        kind: 'dense',
        weights: weights(8 * 5),
        weightBits: 4,
        weightScale: 0.05,
        output: randomGrid(r, 0.05),
      },
    ]);
  },
} satisfies Record<string, (r: Random) => Model>;

export type LayerModelKind = keyof typeof makers;
export const layerModelKinds = Object.keys(makers) as LayerModelKind[];

/** @throws where the numbers make a model that verification refuses */
export const layerModel = (kind: LayerModelKind, seed: number): Model => makers[kind](random(seed * 131 + 7));

/** Any rows; the keys of embeddings are small ones in two rows of three, so that most are known. */
export function layerRows(model: Model, seed: number, count: number): Uint8Array {
  const width = model.input.shape.reduce((a, b) => a * b, 1);
  const rows = randomRows(random(seed), count, width);
  const first = model.layers[0]!;
  if (first.kind !== 'embedding' || first.keyBytes === 1) return rows;
  const { keyBytes } = first;
  return rows.map((byte, at) => {
    const place = at % keyBytes;
    return place === 0 || Math.floor(at / width) % 3 === 0 ? byte : place === 1 ? byte % 3 : 0;
  });
}
