import { z } from 'zod';
import { type Manifest, xdpManifest } from './artifact.ts';
import { type FlowManifest, xdpFlowManifest } from './flow/artifact.ts';
import { FLOW_PLACES, type XdpFlowPlan } from './flow/plan.ts';
import type { LayerWeights } from './p4info.ts';
import type { XdpPlan } from './plan.ts';

export const DEVICE_CONFIG_FORMAT = 'intransit-device-config/1';

/**
 * What a controller pushes to an XDP host as the device's part of a pipeline config: the manifest, and the compiled
 * program. JSON, so that whoever wonders what a host runs can read it.
 */
export function encodeDeviceConfig(
  what: XdpPlan | XdpFlowPlan | Manifest | FlowManifest,
  elf: Uint8Array,
): Uint8Array {
  const manifest = 'format' in what ? what : 'definition' in what ? xdpFlowManifest(what) : xdpManifest(what);
  const program = Buffer.from(elf).toString('base64');
  return Buffer.from(JSON.stringify({ format: DEVICE_CONFIG_FORMAT, manifest, program }));
}

const byte = z.int().min(0).max(255);

/** Arrays of a manifest: a few for each layer that a program can hold. */
const MOST_ARRAYS = 4096;

/** Weights that any map takes; and longer than any program that a kernel takes. */
const MOST_WEIGHT_BYTES = 2 ** 31;
const MOST_CONFIG_BYTES = 64 * 2 ** 20;
const MOST_NAME = 200;

const weightsSchema = z.discriminatedUnion('mode', [
  z.object({ mode: z.literal('static') }),
  z.object({
    mode: z.literal('runtime'),
    bytes: z.int().min(0).max(MOST_WEIGHT_BYTES),
    // Counted before any of them is looked at.
    arrays: z
      .custom<unknown[]>((value) => Array.isArray(value) && value.length <= MOST_ARRAYS, {
        error: `expected at most ${MOST_ARRAYS} arrays`,
      })
      .pipe(
        z.array(
          z.object({
            name: z.string().max(MOST_NAME),
            offset: z.int().min(0).max(MOST_WEIGHT_BYTES),
          }),
        ),
      ),
  }),
]);

const modelSchema = z.object({ name: z.string().max(MOST_NAME), layerCount: byte });

/** As much of the manifest as a device needs. */
const manifestSchema = z.object({
  format: z.literal('intransit-manifest/1'),
  target: z.literal('xdp'),
  model: modelSchema,
  layers: z.object({ from: byte, to: byte }),
  port: z.int().min(1).max(0xffff),
  weights: weightsSchema,
});

/** Of a program of flows: more than any definition has, and memory that a host can spare. */
const [MOST_FEATURES, MOST_FLOWS, MOST_PLACE_BYTES, MOST_TABLE_BYTES] = [1024, 2 ** 22, 8192, 2 ** 30];

const flowManifestSchema = z.object({
  format: z.literal('intransit-flow-manifest/1'),
  target: z.literal('xdp'),
  model: modelSchema,
  features: z.object({
    definition: z.string().max(MOST_NAME),
    names: z.array(z.string().max(MOST_NAME)).min(1).max(MOST_FEATURES),
  }),
  table: z
    .object({
      flows: z.int().min(64).max(MOST_FLOWS),
      places: z.literal(FLOW_PLACES),
      placeBytes: z.int().min(8).max(MOST_PLACE_BYTES).multipleOf(8),
    })
    .refine(({ flows, placeBytes }) => flows * placeBytes <= MOST_TABLE_BYTES, {
      error: `the flows would take more than ${MOST_TABLE_BYTES} bytes: keep fewer (table.flows)`,
    }),
  weights: weightsSchema,
});

const configSchema = z.object({
  format: z.literal(DEVICE_CONFIG_FORMAT),
  manifest: z.discriminatedUnion('format', [manifestSchema, flowManifestSchema]),
  program: z.base64(),
});

interface AnyConfig {
  /** The ELF object. */
  readonly program: Uint8Array;
  /** Where each layer's arrays lie in the struct of the weights; none where they are constants of the program. */
  readonly weights: readonly PlacedWeights[];
}

/** Of a program that computes requests. */
export interface RequestConfig extends AnyConfig {
  readonly kind: 'requests';
  readonly manifest: z.infer<typeof manifestSchema>;
}

/** Of a program that classifies flows. */
export interface FlowConfig extends AnyConfig {
  readonly kind: 'flows';
  readonly manifest: z.infer<typeof flowManifestSchema>;
}

export type DeviceConfig = RequestConfig | FlowConfig;

export interface PlacedWeights extends LayerWeights {
  /** Of its first array; the others follow without a gap. */
  readonly offset: number;
}

/** @throws Error that says what is wrong with it */
export function decodeDeviceConfig(bytes: Uint8Array): DeviceConfig {
  if (bytes.length > MOST_CONFIG_BYTES)
    throw new Error(`the device config has ${bytes.length} bytes; at most ${MOST_CONFIG_BYTES} are read`);
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw new Error(`the device config is no JSON of the format ${DEVICE_CONFIG_FORMAT}`);
  }
  const result = configSchema.safeParse(json);
  if (!result.success) {
    const { path, message } = result.error.issues[0]!;
    throw new Error(`the device config is wrong at ${path.join('.') || 'its top'}: ${message}`);
  }
  const { manifest, program } = result.data;
  const rest = { program: Buffer.from(program, 'base64'), weights: placedWeights(manifest.weights) };
  return manifest.format === 'intransit-manifest/1'
    ? { kind: 'requests', manifest, ...rest }
    : { kind: 'flows', manifest, ...rest };
}

function placedWeights(weights: DeviceConfig['manifest']['weights']): PlacedWeights[] {
  if (weights.mode === 'static') return [];
  const byLayer = new Map<
    number,
    { offset: number; end: number; arrays: { name: string; bytes: number }[] }
  >();
  for (const [i, { name, offset }] of weights.arrays.entries()) {
    const layer = Number(/^layer(\d{1,3})_/.exec(name)?.[1] ?? Number.NaN);
    const bytes = (weights.arrays[i + 1]?.offset ?? weights.bytes) - offset;
    const placed = byLayer.get(layer) ?? { offset, end: offset, arrays: [] };
    if (Number.isNaN(layer) || bytes <= 0 || placed.end !== offset)
      throw new Error(`the manifest's array ${name} is out of order`);
    placed.arrays.push({ name, bytes });
    placed.end += bytes;
    byLayer.set(layer, placed);
  }
  return [...byLayer].map(([layer, { offset, arrays }]) => ({ layer, offset, arrays }));
}
