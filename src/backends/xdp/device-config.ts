import { z } from 'zod';
import { PROGRAM_SLOTS, PROGRAMS } from '../../dataplane/abi.ts';
import { MOST_FLOW_MODELS } from '../common/flow/tables.ts';
import { type Manifest, xdpManifest } from './artifact.ts';
import { type FlowManifest, xdpFlowManifest } from './flow/artifact.ts';
import { FLOW_PLACES, type XdpFlowPlan } from './flow/plan.ts';
import type { LayerWeights, ProgramLayout } from './p4info.ts';
import type { XdpPlan } from './plan.ts';

/** First field of the `p4_device_config` that an agent takes; it refuses any other. */
export const DEVICE_CONFIG_FORMAT = 'intransit-device-config/2';

/** A program of a pipeline config: a manifest with the object that was compiled. */
export interface ProgramPart {
  /** Its place among the programs of the device: slots follow from it. */
  readonly index: number;
  /** What it was compiled from, as a hash: a compiler may make other bytes of the same elsewhere. */
  readonly source: string;
  readonly manifest: XdpPlan | Manifest | ProgramConfig['manifest'];
  readonly elf: Uint8Array;
}

/**
 * What a controller pushes to an XDP host as the device's part of a pipeline config: manifests and compiled programs. JSON, so
 * that whoever wonders what a host runs can read it.
 */
export function encodeDeviceConfig(parts: readonly ProgramPart[]): Uint8Array {
  const programs = parts.map(({ index, source, manifest, elf }) => ({
    index,
    source,
    manifest: 'format' in manifest ? manifest : xdpManifest(manifest),
    program: Buffer.from(elf).toString('base64'),
  }));
  return Buffer.from(JSON.stringify({ format: DEVICE_CONFIG_FORMAT, programs }));
}

/** The same of the one program that classifies flows. */
export function encodeFlowConfig(what: XdpFlowPlan | FlowManifest, elf: Uint8Array): Uint8Array {
  const manifest = 'format' in what ? what : xdpFlowManifest(what);
  const program = Buffer.from(elf).toString('base64');
  return Buffer.from(JSON.stringify({ format: DEVICE_CONFIG_FORMAT, manifest, program }));
}

/** Of several, in the order in which they are asked. @param packets whether the last is for packets whose flow finds no place */
export function encodeFlowSetConfig(
  models: readonly { readonly plan: XdpFlowPlan; readonly elf: Uint8Array }[],
  packets: boolean,
): Uint8Array {
  const flows = models.map(({ plan, elf }) => ({
    manifest: xdpFlowManifest(plan),
    program: Buffer.from(elf).toString('base64'),
  }));
  return Buffer.from(JSON.stringify({ format: DEVICE_CONFIG_FORMAT, flows, packets }));
}

const byte = z.int().min(0).max(255);

/** Arrays of a manifest: a few for each layer that a program can hold. */
const MOST_ARRAYS = 4096;

/** Weights that any map takes; and longer than any programs that a kernel takes. */
const MOST_WEIGHT_BYTES = 2 ** 31;
const MOST_CONFIG_BYTES = 64 * 2 ** 20;
const MOST_NAME = 200;

const weightsSchema = z.discriminatedUnion('mode', [
  z.object({ mode: z.literal('static') }),
  z.object({
    mode: z.literal('runtime'),
    bytes: z.int().min(0).max(MOST_WEIGHT_BYTES),
    slots: z.int().min(1).max(PROGRAM_SLOTS),
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
    atEnd: z.literal(true).optional(),
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

const format = z.literal(DEVICE_CONFIG_FORMAT);

const requestSchema = z.object({
  format,
  programs: z
    .array(
      z.object({
        index: z
          .int()
          .min(0)
          .max(PROGRAMS - 1),
        source: z.string().max(MOST_NAME),
        // Whatever else stands in it stays in it: a controller hands on what others have pushed.
        manifest: manifestSchema.loose(),
        program: z.base64(),
      }),
    )
    .min(1)
    .max(PROGRAMS),
});

const flowModelSchema = z.object({ manifest: flowManifestSchema, program: z.base64() });
const flowSchema = flowModelSchema.extend({ format });
const flowSetSchema = z
  .object({ format, flows: z.array(flowModelSchema).min(1).max(MOST_FLOW_MODELS), packets: z.boolean() })
  .refine(({ flows, packets }) => !packets || flows.length > 1, {
    path: ['packets'],
    error: 'no model is left that has flows',
  })
  .refine(
    ({ flows }) =>
      flows.reduce((sum, { manifest: { table } }) => sum + table.flows * table.placeBytes, 0) <=
      MOST_TABLE_BYTES,
    {
      path: ['flows'],
      error: `their flows would take more than ${MOST_TABLE_BYTES} bytes: keep fewer (table.flows)`,
    },
  );

/** One program of a device. */
export interface ProgramConfig extends ProgramLayout {
  readonly source: string;
  readonly manifest: z.infer<typeof manifestSchema>;
  /** The ELF object. */
  readonly elf: Uint8Array;
  /** Where each layer's arrays lie in the struct of the weights; none where they are constants of the program. */
  readonly weights: readonly PlacedWeights[];
}

/** Of programs that compute requests. */
export interface RequestConfig {
  readonly kind: 'requests';
  /** In order of their indices. */
  readonly programs: readonly ProgramConfig[];
}

/** A program that classifies flows. */
export interface FlowModelConfig {
  readonly manifest: z.infer<typeof flowManifestSchema>;
  /** The ELF object. */
  readonly elf: Uint8Array;
  readonly weights: readonly PlacedWeights[];
}

/** Of programs that classify flows: one, or several that hand packets on. */
export interface FlowConfig {
  readonly kind: 'flows';
  /** The first stands on the interfaces. */
  readonly models: readonly [FlowModelConfig, ...FlowModelConfig[]];
  /** Whether they were made to stand beside each other. */
  readonly isSet: boolean;
  /** Whether the last has no flows: it is for packets that find no place. */
  readonly packets: boolean;
}

/** What a controller pushes to an agent: programs of requests, or those of flows. */
export type DeviceConfig = RequestConfig | FlowConfig;

/** Weights of a layer in the bytes of a slot. */
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
  const has = (name: string): boolean => typeof json === 'object' && json !== null && name in json;
  if (has('flows')) return flowSetConfig(parsed(flowSetSchema, json));
  return has('manifest') ? flowConfig(parsed(flowSchema, json)) : requestConfig(parsed(requestSchema, json));
}

function parsed<S extends z.ZodType>(schema: S, json: unknown): z.output<S> {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw new Error(`the device config is wrong at ${path.join('.') || 'its top'}: ${message}`);
}

const flowModel = ({ manifest, program }: z.output<typeof flowModelSchema>): FlowModelConfig => ({
  manifest,
  elf: Buffer.from(program, 'base64'),
  weights: placedWeights(manifest.weights),
});

const flowConfig = (config: z.output<typeof flowSchema>): FlowConfig => ({
  kind: 'flows',
  models: [flowModel(config)],
  isSet: false,
  packets: false,
});

function flowSetConfig({ flows, packets }: z.output<typeof flowSetSchema>): FlowConfig {
  const [first, ...more] = flows.map(flowModel);
  return { kind: 'flows', models: [first!, ...more], isSet: true, packets };
}

/** Whether a model keeps flows; the one that is for packets alone does not. */
export const hasFlows = ({ models, packets }: Omit<FlowConfig, 'kind'>, model: number): boolean =>
  model < models.length - (packets ? 1 : 0);

/** The most features of a model. */
export const mostFeaturesOf = ({ models }: Pick<FlowConfig, 'models'>): number =>
  Math.max(...models.map((m) => m.manifest.features.names.length));

function requestConfig(config: z.output<typeof requestSchema>): RequestConfig {
  const programs = config.programs
    .map(
      ({ index, source, manifest, program }): ProgramConfig => ({
        index,
        source,
        manifest,
        elf: Buffer.from(program, 'base64'),
        slots: manifest.weights.mode === 'static' ? PROGRAM_SLOTS : manifest.weights.slots,
        weights: placedWeights(manifest.weights),
      }),
    )
    .sort((a, b) => a.index - b.index);
  for (const [i, { index, manifest }] of programs.entries()) {
    if (programs[i - 1]?.index === index) throw new Error(`the device config has two programs ${index}`);
    const { port } = programs[0]!.manifest;
    if (manifest.port !== port)
      throw new Error(
        `program ${index} of the device config is for UDP port ${manifest.port}, another for ${port}`,
      );
  }
  return { kind: 'requests', programs };
}

function placedWeights(weights: ProgramConfig['manifest']['weights']): PlacedWeights[] {
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
