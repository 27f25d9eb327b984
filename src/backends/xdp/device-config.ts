import { z } from 'zod';
import { type Manifest, xdpManifest } from './artifact.ts';
import type { LayerWeights } from './p4info.ts';
import type { XdpPlan } from './plan.ts';

export const DEVICE_CONFIG_FORMAT = 'intransit-device-config/1';

/**
 * What a controller pushes to an XDP host as the device's part of a pipeline config: the manifest, and the compiled
 * program. JSON, so that whoever wonders what a host runs can read it.
 */
export function encodeDeviceConfig(what: XdpPlan | Manifest, elf: Uint8Array): Uint8Array {
  const manifest = 'format' in what ? what : xdpManifest(what);
  const program = Buffer.from(elf).toString('base64');
  return Buffer.from(JSON.stringify({ format: DEVICE_CONFIG_FORMAT, manifest, program }));
}

const byte = z.int().min(0).max(255);

/** As much of the manifest as a device needs. */
const manifestSchema = z.object({
  format: z.literal('intransit-manifest/1'),
  target: z.literal('xdp'),
  model: z.object({ name: z.string(), layerCount: byte }),
  layers: z.object({ from: byte, to: byte }),
  port: z.int().min(1).max(0xffff),
  weights: z.discriminatedUnion('mode', [
    z.object({ mode: z.literal('static') }),
    z.object({
      mode: z.literal('runtime'),
      bytes: z.int().min(0),
      arrays: z.array(z.object({ name: z.string(), offset: z.int().min(0) })),
    }),
  ]),
});

const configSchema = z.object({
  format: z.literal(DEVICE_CONFIG_FORMAT),
  manifest: manifestSchema,
  program: z.base64(),
});

export interface DeviceConfig {
  readonly manifest: z.infer<typeof manifestSchema>;
  /** The ELF object. */
  readonly program: Uint8Array;
  /** Where each layer's arrays lie in the struct of the weights; none where they are constants of the program. */
  readonly weights: readonly PlacedWeights[];
}

export interface PlacedWeights extends LayerWeights {
  /** Of its first array; the others follow without a gap. */
  readonly offset: number;
}

/** @throws Error that says what is wrong with it */
export function decodeDeviceConfig(bytes: Uint8Array): DeviceConfig {
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
  return { manifest, program: Buffer.from(program, 'base64'), weights: placedWeights(manifest.weights) };
}

function placedWeights(weights: DeviceConfig['manifest']['weights']): PlacedWeights[] {
  if (weights.mode === 'static') return [];
  const byLayer = new Map<number, { offset: number; arrays: { name: string; bytes: number }[] }>();
  for (const [i, { name, offset }] of weights.arrays.entries()) {
    const layer = Number(/^layer(\d+)_/.exec(name)?.[1] ?? Number.NaN);
    const bytes = (weights.arrays[i + 1]?.offset ?? weights.bytes) - offset;
    const known = byLayer.get(layer) ?? { offset, arrays: [] };
    const end = known.arrays.reduce((at, a) => at + a.bytes, known.offset);
    if (Number.isNaN(layer) || bytes <= 0 || end !== offset)
      throw new Error(`the manifest's array ${name} is out of order`);
    known.arrays.push({ name, bytes });
    byLayer.set(layer, known);
  }
  return [...byLayer].map(([layer, placed]) => ({ layer, ...placed }));
}
