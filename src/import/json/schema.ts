import { z } from 'zod';

/**
 * The one definition of the JSON model format: the importer validates with it, `schema/model.schema.json` is generated
 * from it, and its descriptions are what editors show. docs/json-model.md has an example of every layer.
 */

/** The only one that is read. */
export const JSON_VERSION = 1;

const integer = (lo: number, hi: number, what: string) =>
  z
    .int({ error: `expected an integer in ${lo}..${hi}` })
    .min(lo)
    .max(hi)
    .describe(what);

const element = z
  .enum(['uint8', 'int8', 'uint16', 'int16'])
  .describe('Element type: each takes one byte, or two, little-endian');
const scale = z.number().positive().describe('real = scale * (q - zeroPoint)');
const zeroPoint = integer(-128, 255, 'The q-value of real zero; within the element type').default(0);
const size = z.int({ error: 'expected a size of at least 1' }).min(1).max(65_535);
const shape = z.array(size).min(1).max(4).describe('Without the batch; images are [channels, height, width]');

const quantisation = z
  .strictObject({ element, scale, zeroPoint })
  .describe('Element type, scale and zero point of the output');

const base = {
  name: z.string().min(1).optional().describe('Unique; layer<index> if absent'),
  input: z.string().optional().describe("Name of an earlier layer, or 'input'; the layer before if absent"),
};

const weight = z.int().min(-128).max(255);
const row = z.array(weight);
const weights = z
  .union([row, z.array(row), z.array(z.array(row)), z.array(z.array(z.array(row))), z.base64()], {
    error: 'expected integers in -128..255 in nested or flat arrays, or base64 of int8',
  })
  .describe('[out][in] or [out][in / groups][height][width], row-major: nested, flat, or base64 of int8');

const perChannel = <T extends z.ZodType>(one: T, what: string) =>
  z.union([one, z.array(one).min(1)], { error: `expected ${what}, or a list of one for each channel` });

const rounding = z
  .enum(['onnx', 'tflite', 'half-even', 'half-up'])
  .default('onnx')
  .describe(
    'Which rounding the integers reproduce: onnx (float32, half to even), tflite (31-bit multiplier, two roundings), ' +
      'half-even or half-up of the exact product',
  );

const safe = z.int();
const requantiser = z
  .strictObject({
    multiplier: z.array(safe.min(0)).min(1),
    offset: z.array(safe).min(1),
    shift: integer(0, 52, 'Bits to the right'),
    min: integer(-128, 255, 'Smallest q'),
    max: integer(-128, 255, 'Largest q'),
    below: z
      .strictObject({ pivot: z.array(safe).min(1), offset: z.array(safe).min(1) })
      .optional()
      .describe('Where acc < pivot[c], this offset[c] stands in for the other'),
    ties: z
      .strictObject({ part: z.array(safe.min(0)).min(1), odd: z.literal([0, 1]) })
      .optional()
      .describe('Where the shifted sum ends in the bit `odd`, part[c] is taken off it before the shift'),
    exactness: z
      .strictObject({ channels: safe.min(0), accumulators: safe.min(0), total: safe.min(0) })
      .optional(),
  })
  .describe(
    'q = clamp(floor((acc * multiplier[c] + offset[c]) / 2^shift), min, max): instead of scales and a rounding',
  );

const linear = {
  ...base,
  weights,
  weightBits: z
    .union([z.literal(4), z.literal(8)])
    .optional()
    .describe('Bits of a weight, 8 if absent; with 4, -8..7: so may be those that replace it at run time'),
  weightScale: perChannel(scale, 'a number above zero').optional(),
  weightZeroPoint: perChannel(weight, 'an integer in -128..255').default(0),
  bias: z
    .array(
      z
        .int()
        .min(-(2 ** 31))
        .max(2 ** 31 - 1),
    )
    .optional()
    .describe('One a channel, on the scale input scale * weight scale; zeros if absent'),
  output: quantisation,
  rounding,
  requantiser: requantiser.optional(),
};

const pair = z.tuple([size, size]);
const pad = z.int().min(0).max(65_535);
const window = {
  kernel: pair.describe('[height, width]'),
  strides: pair
    .optional()
    .describe('[height, width]; of a convolution [1, 1], of a pool the kernel, if absent'),
  pads: z.tuple([pad, pad, pad, pad]).default([0, 0, 0, 0]).describe('[top, left, bottom, right]'),
  dilations: pair.optional().describe('From one tap to the next, [height, width]; [1, 1] if absent'),
};

const embeddingTable = z
  .union([row, z.array(row), z.base64()], {
    error: 'expected integers in -128..255 in rows or flat, or base64 of int8',
  })
  .describe('[rows][width], row-major: nested, flat, or base64 of int8');

const stepTable = (what: string) =>
  z
    .array(z.int().min(0))
    .length(256, { error: 'expected 256 values' })
    .describe(`By the distance d from the largest element of the row. ${what}`);

const treeNode = z.union(
  [
    z.strictObject({
      feature: z.int().min(0).max(32_767).describe('Index of the element that is compared'),
      threshold: integer(-32_768, 32_767, 'q-value: an element up to it goes low, one above it high'),
      low: z.int().min(1).describe('Index of the node in the list'),
      high: z.int().min(1).describe('Likewise'),
    }),
    z.strictObject({ scores: z.array(safe).min(1).describe('What the leaf adds to each score') }),
  ],
  { error: 'expected { feature, threshold, low, high } or { scores }' },
);

const layers = [
  z.strictObject({ kind: z.literal('dense'), ...linear }),
  z.strictObject({ kind: z.literal('conv2d'), ...linear, ...window, groups: size.default(1) }),
  z.strictObject({
    kind: z.literal('conv1d'),
    ...linear,
    kernel: size,
    stride: size.default(1),
    pads: z.tuple([pad, pad]).default([0, 0]).describe('[before, after]'),
    dilation: size.default(1),
    groups: size.default(1),
  }),
  z.strictObject({ kind: z.literal('maxPool'), ...base, ...window }),
  z.strictObject({
    kind: z.literal('averagePool'),
    ...base,
    ...window,
    countPadding: z.boolean().default(false).describe('Whether padding counts in the divisor'),
    output: quantisation.optional().describe('That of the input if absent'),
    rounding,
    requantiser: requantiser.optional(),
  }),
  z.strictObject({
    kind: z.literal('mean'),
    ...base,
    output: quantisation.optional().describe('That of the input if absent'),
    rounding,
  }),
  z.strictObject({
    kind: z.literal('pad'),
    ...base,
    pads: z.tuple([pad, pad, pad, pad]).describe('[top, left, bottom, right]'),
    value: integer(-128, 255, 'q-value of the border; the zero point if absent').optional(),
  }),
  z.strictObject({
    kind: z.literal('transpose'),
    ...base,
    axes: z
      .array(z.int().min(0).max(3))
      .min(1)
      .max(4)
      .describe('Dimension d of the output is axes[d] of the input'),
  }),
  z.strictObject({
    kind: z.literal('lut'),
    ...base,
    output: quantisation,
    table: z
      .array(integer(-128, 255, 'A q-value of the output'))
      .min(256, { error: 'expected 256 values, from the least q of the input on, or 256 for each channel' })
      .optional()
      .describe('256 q-values of the output, from the least q of the input on; or as many for each channel'),
    function: z
      .enum(['sigmoid', 'tanh', 'gelu', 'silu', 'hardSwish', 'exp'])
      .optional()
      .describe('Instead of a table: the function of reals that it is to hold'),
  }),
  z.strictObject({
    kind: z.literal('embedding'),
    ...base,
    keyBytes: z
      .union([z.literal(1), z.literal(2), z.literal(4)])
      .default(1)
      .describe('Bytes of a key, little-endian'),
    bag: size.default(1).describe('Keys whose rows are summed'),
    rows: z
      .int()
      .min(1)
      .max(2 ** 24)
      .describe('A key that is not below adds nothing'),
    table: embeddingTable,
    tableScale: scale.optional().describe('Scale of the entries; with a requantiser it is not needed'),
    tableZeroPoint: weight.default(0),
    output: quantisation,
    rounding,
    requantiser: requantiser.optional(),
  }),
  z.strictObject({ kind: z.literal('relu'), ...base }),
  z.strictObject({
    kind: z.literal('clamp'),
    ...base,
    min: integer(-128, 255, 'Smallest q-value'),
    max: integer(-128, 255, 'Largest q-value'),
  }),
  z.strictObject({
    kind: z.literal('requantise'),
    ...base,
    output: quantisation,
    rounding,
    requantiser: requantiser.optional(),
  }),
  z.strictObject({
    kind: z.literal('add'),
    name: base.name,
    inputs: z
      .tuple([z.string(), z.string()])
      .describe('Names of two earlier values of equal shape, or of [channels, 1, 1] beside an image'),
    output: quantisation,
    rounding,
    coefficients: z
      .strictObject({
        multipliers: z.tuple([safe, safe]),
        offset: safe,
        shift: integer(0, 52, 'Bits to the right'),
        min: integer(-128, 255, 'Smallest q'),
        max: integer(-128, 255, 'Largest q'),
        ties: z.strictObject({ part: safe.min(0), odd: z.literal([0, 1]) }).optional(),
      })
      .optional()
      .describe('q = clamp(floor((a*ma + b*mb + offset) / 2^shift), min, max): instead of a rounding'),
  }),
  z.strictObject({
    kind: z.literal('mul'),
    name: base.name,
    inputs: z.tuple([z.string(), z.string()]).describe('As of add'),
    output: quantisation,
    rounding,
    requantiser: requantiser.optional(),
  }),
  z.strictObject({
    kind: z.literal('softmax'),
    ...base,
    size: size.optional().describe('Elements of a row; the last axis if absent'),
    output: quantisation,
    exponentials: stepTable(
      'e to the power of -d times the scale of the input, times a power of two',
    ).optional(),
    numerators: stepTable('The same, divided by the scale of the output').optional(),
  }),
  z.strictObject({
    kind: z.literal('gather'),
    name: base.name,
    inputs: z.array(z.string()).min(1).describe('Names of earlier values of one scale and zero point'),
    shape,
    sources: z
      .array(z.int().min(-1))
      .describe('By element of the output: its index in the elements of all inputs, one after the other'),
    value: integer(-128, 255, 'q-value where the source is -1; the zero point if absent').optional(),
  }),
  z.strictObject({
    kind: z.literal('concat'),
    name: base.name,
    inputs: z.array(z.string()).min(1).describe('Names of earlier values of one scale and zero point'),
    axis: z.int().min(0).max(3).default(0),
  }),
  z.strictObject({ kind: z.literal('flatten'), ...base }),
  z.strictObject({ kind: z.literal('reshape'), ...base, shape }),
  z.strictObject({ kind: z.literal('argmax'), ...base }),
  z.strictObject({
    kind: z.literal('forest'),
    ...base,
    trees: z
      .array(z.array(treeNode).min(1))
      .min(1)
      .describe('Each a list of nodes: the root first, children after their parent'),
    base: z.array(safe).optional().describe('What the scores begin with; zeros if absent'),
    shift: integer(0, 51, 'Bits to the right, of the sums or of the margin').default(0),
    output: quantisation
      .optional()
      .describe('The sums are the q-values of this grid; without it the largest score is a verdict'),
  }),
] as const;

/** Values of `kind` that a layer in a file may have. */
export const layerKinds: readonly string[] = layers.map((layer) => layer.shape.kind.value);

/** A file of layers with their weights. `JsonModel` is what it is once read: defaults are filled in. */
export const modelSchema = z
  .strictObject({
    $schema: z.string().optional(),
    format: z.literal('intransit-model', { error: "expected 'intransit-model'" }),
    version: z.literal(JSON_VERSION, { error: `expected ${JSON_VERSION}, the version this program reads` }),
    name: z.string().min(1).optional().describe('The name of the file if absent'),
    classes: z.array(z.string().min(1)).min(1).optional().describe('Names of the classes, one an output'),
    input: z.strictObject({ element, shape, scale, zeroPoint }),
    layers: z
      .array(
        z.discriminatedUnion('kind', layers, { error: `expected a kind out of ${layerKinds.join(', ')}` }),
      )
      .min(1),
  })
  .meta({ title: 'intransit model', description: 'A quantised neural network, layer by layer' });

/** A model file as validated: defaults are filled in. */
export type JsonModel = z.output<typeof modelSchema>;
/** As written: what has a default may be absent. */
export type JsonModelInput = z.input<typeof modelSchema>;
/** A layer of a file that was read. */
export type JsonLayer = JsonModel['layers'][number];
/** A layer as it may be written: what has a default may be left out. */
export type JsonLayerInput = JsonModelInput['layers'][number];
/** As the file names it; `onnx` if it names none. */
export type JsonRounding = z.output<typeof rounding>;
/** Integers in place of scales and a rounding. */
export type JsonRequantiser = z.output<typeof requantiser>;

/** The text of `schema/model.schema.json`. */
export function jsonSchemaText(): string {
  const schema = z.toJSONSchema(modelSchema, { io: 'input', target: 'draft-2020-12' });
  return `${JSON.stringify(schema, null, 2)}\n`;
}
