import { z } from 'zod';

/**
 * The one definition of the JSON model format: the importer validates with it, `schema/model.schema.json` is generated
 * from it, and its descriptions are what editors show. docs/json-model.md has an example of every layer.
 */

export const JSON_VERSION = 1;

const integer = (lo: number, hi: number, what: string) =>
  z
    .int({ error: `expected an integer in ${lo}..${hi}` })
    .min(lo)
    .max(hi)
    .describe(what);

const element = z.enum(['uint8', 'int8']).describe('Element type: each element takes one byte');
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
};

const layers = [
  z.strictObject({ kind: z.literal('dense'), ...linear }),
  z.strictObject({ kind: z.literal('conv2d'), ...linear, ...window, groups: size.default(1) }),
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
    inputs: z.tuple([z.string(), z.string()]).describe('Names of two earlier values of equal shape'),
    output: quantisation,
    rounding,
    coefficients: z
      .strictObject({
        multipliers: z.tuple([safe.min(0), safe.min(0)]),
        offset: safe,
        shift: integer(0, 52, 'Bits to the right'),
        min: integer(-128, 255, 'Smallest q'),
        max: integer(-128, 255, 'Largest q'),
      })
      .optional()
      .describe('q = clamp(floor((a*ma + b*mb + offset) / 2^shift), min, max): instead of a rounding'),
  }),
  z.strictObject({ kind: z.literal('flatten'), ...base }),
  z.strictObject({ kind: z.literal('reshape'), ...base, shape }),
  z.strictObject({ kind: z.literal('argmax'), ...base }),
] as const;

export const layerKinds: readonly string[] = layers.map((layer) => layer.shape.kind.value);

export const modelSchema = z
  .strictObject({
    $schema: z.string().optional(),
    format: z.literal('intransit-model', { error: "expected 'intransit-model'" }),
    version: z.literal(JSON_VERSION, { error: `expected ${JSON_VERSION}, the version this program reads` }),
    name: z.string().min(1).optional().describe('The name of the file if absent'),
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
export type JsonLayer = JsonModel['layers'][number];
export type JsonLayerInput = JsonModelInput['layers'][number];
export type JsonRounding = z.output<typeof rounding>;
export type JsonRequantiser = z.output<typeof requantiser>;

/** The text of `schema/model.schema.json`. */
export function jsonSchemaText(): string {
  const schema = z.toJSONSchema(modelSchema, { io: 'input', target: 'draft-2020-12' });
  return `${JSON.stringify(schema, null, 2)}\n`;
}
