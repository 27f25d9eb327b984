import { z } from 'zod';
import { DEVICE_SLOTS } from '../dataplane/abi.ts';
import { fileHead, missing, oneOf } from '../names-schema.ts';
import { targets } from '../targets/registry.ts';
import { DEFAULT_PORT } from '../wire/header.ts';

/**
 * The one definition of a deployment file: `deploy` validates with it, `schema/deployment.schema.json` is generated from
 * it. docs/deploy.md explains it with an example.
 */

/** The only one that is read. */
export const DEPLOYMENT_VERSION = 1;

/** Targets whose devices a controller drives. */
export const deviceKinds = (): readonly string[] =>
  targets()
    .flatMap((t) => (t.device ? [t.name] : []))
    .sort();

/** A port of a device, and of BMv2: 9 bits, the last of which drops. */
const MOST_PORT = 510;

const name = z
  .string({ error: 'expected a name of at least one character' })
  .min(1, 'expected a name of at least one character');
const path = z.string({ error: 'expected the path of a file' }).min(1, 'expected the path of a file');

const ADDRESS = 'expected host:port, [host]:port or unix:/path';
const address = z
  .string({ error: ADDRESS })
  .regex(/^(?:unix:\S+|(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):\d{1,5})$/, ADDRESS);

const integer = (lo: number, hi: number, what: string) => {
  const error = `expected a whole number in ${lo}..${hi}`;
  return z.int({ error }).min(lo, error).max(hi, error).describe(what);
};

const port = (what: string) => integer(0, MOST_PORT, what);
const mac = z
  .string({ error: 'expected a MAC address such as 00:11:22:33:44:55' })
  .regex(/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/, 'expected a MAC address such as 00:11:22:33:44:55');

/** Where packets go; without MACs as they are, with both as a router sends them. */
const hop = {
  port: port('Port by which they leave').optional(),
  sourceMac: mac.optional().describe('With destinationMac: rewritten, and the time to live is one less'),
  destinationMac: mac.optional(),
  drop: z.literal(true, { error: 'expected true, or no such field' }).optional(),
};

const tls = z
  .strictObject({
    ca: path.optional().describe('PEM file: who signed the certificate of the device'),
    cert: path.optional().describe('PEM file of ours, for devices that ask for one'),
    key: path.optional(),
    serverName: name.optional().describe('Name in the certificate of the device, if not the one dialled'),
  })
  .describe('Paths are relative to this file; without `tls` the connection is not encrypted');

/** Where requests of a model go that its devices leave. */
const steering = z
  .array(z.strictObject({ nextLayer: integer(0, 255, 'First layer not yet computed'), ...hop }))
  .default([]);

const layers = z
  .string({ error: "expected layers 'A..B'" })
  .regex(/^\d*\.\.\d*$/, "expected layers 'A..B' (B is not computed)")
  .optional();

const threshold = integer(
  0,
  255,
  'Least margin at which a verdict is an answer; requests below it go on',
).default(0);

const device = z.strictObject({
  name: name.describe('Unique; the name of the node where there is a plan'),
  kind: oneOf(deviceKinds),
  address: address.describe('Of its P4Runtime server: host:port, or unix:/path'),
  deviceId: integer(1, Number.MAX_SAFE_INTEGER, 'P4Runtime device id').default(1),
  tls: tls.optional(),
  layers: layers.describe(
    "Layers 'A..B' that it computes (B is not one of them); default those of the plan, or none: it only forwards",
  ),
  threshold,
  zones: z
    .array(integer(1, 255, 'A trust zone'))
    .default([])
    .describe('Trust zones for which it computes besides 0, any'),
  ports: z
    .array(z.strictObject({ ingress: port('Port'), egress: port('Port') }))
    .default([])
    .describe('Packets that come in here leave there; what no entry names is dropped'),
  routes: z
    .array(z.strictObject({ prefix: name.describe('IPv4: 10.0.0.0/8, or one address'), ...hop }))
    .default([])
    .describe('By the destination; goes before `ports`'),
  steering: steering.describe('Requests of this model by their next layer; goes before `routes`'),
});

const range = z
  .tuple([z.number(), z.number()], { error: 'expected two numbers, the least and the greatest' })
  .refine(([lo, hi]) => lo < hi, { error: 'expected the least first' });

const MOST_BUDGET = 1_000_000_000;

const budget = z
  .strictObject({
    perSecond: integer(1, MOST_BUDGET, 'Inferences a second'),
    burst: integer(1, MOST_BUDGET, "At once; a tenth of a second's if absent").optional(),
  })
  .describe('On each device; packets beyond it pass on uncomputed, counted as shed');

const modelFields = {
  file: path.describe('ONNX, TFLite or JSON, relative to this file'),
  id: integer(1, 0xffff, 'Model id in packets').default(1),
  version: integer(1, 0xffff, 'Version of these weights in packets').default(1),
  verdict: z
    .boolean({ error: 'expected true or false' })
    .default(false)
    .describe('Append a layer that makes class and margin of the outputs'),
  budget: budget.optional(),
  inputTensor: z
    .string({ error: 'expected the name of a tensor' })
    .optional()
    .describe('As --input-tensor of other commands: begin there'),
  outputTensor: z
    .string({ error: 'expected the name of a tensor' })
    .optional()
    .describe('As --output-tensor of other commands: end there'),
  inputRange: range.optional().describe('As --input-range of other commands'),
  outputRange: range.optional().describe('As --output-range of other commands'),
  missing,
  tfliteRounding: z
    .enum(['double', 'single'], { error: 'expected double or single' })
    .optional()
    .describe('As --tflite-rounding of other commands; what the file suggests if absent'),
};

/** What one of several models has besides. */
const placedFields = {
  name: name.optional().describe('What commands and reports call it; the name of its file if absent'),
  plan: path.optional().describe('What `intransit plan --json` printed for it, relative to this file'),
  placement: z
    .array(
      z.strictObject({
        device: name.describe('Name of a device of this file'),
        layers: layers.describe(
          "Layers 'A..B' that it computes there; default those of the plan, or none: it is only steered",
        ),
        threshold,
        slot: integer(
          0,
          DEVICE_SLOTS - 1,
          'Slot of the device for this version; any that is free if absent',
        ).optional(),
        steering: steering.describe('Requests of this model by their next layer; goes before `routes`'),
      }),
      { error: 'expected a list of devices' },
    )
    .optional()
    .describe('What it is on each device; default what the devices say themselves'),
};

const worker = z.strictObject({
  name: name.describe('Unique among workers and devices'),
  address: address.describe('Of its control door (worker --control): unix:/path, or host:port'),
  tls: tls.optional(),
});

/** A deployment file (docs/deploy.md); `DeploymentInput` is what may be written, `DeploymentFile` what is read. */
export const deploymentSchema = z
  .strictObject({
    ...fileHead('intransit-deployment', DEPLOYMENT_VERSION),
    name: name.optional().describe('The name of the file if absent'),
    model: z.strictObject(modelFields).optional().describe('The model, where it is one'),
    models: z
      .array(z.strictObject({ ...modelFields, ...placedFields }), { error: 'expected a list of models' })
      .min(1, 'expected at least one model')
      .optional()
      .describe('In place of `model`: several, each with an id of its own'),
    port: integer(1, 0xffff, 'UDP port of requests').default(DEFAULT_PORT),
    mtu: integer(68, 0xffff, 'Largest IP packet of the path, bytes').default(1500),
    plan: path.optional().describe('What `intransit plan --json` printed, relative to this file'),
    drainMs: integer(0, 600_000, 'How long packets of the previous version may still be under way').default(
      1000,
    ),
    devices: z
      .array(device, { error: 'expected a list of devices' })
      .min(1, 'expected at least one device')
      .describe('In the order of the path: the ingress first'),
    workers: z
      .array(worker, { error: 'expected a list of workers' })
      .default([])
      .describe(
        'What finishes the layers that the devices leave; versions come and go on them as on devices',
      ),
  })
  .meta({ title: 'intransit deployment', description: 'Models, and the devices that compute them' });

/** As validated: defaults are filled in. */
export type DeploymentFile = z.output<typeof deploymentSchema>;
/** As written: what has a default may be absent. */
export type DeploymentInput = z.input<typeof deploymentSchema>;
/** A device of the file, with its defaults filled in. */
export type DeviceSpec = DeploymentFile['devices'][number];
/** A worker of the file, with its defaults filled in. */
export type WorkerSpec = DeploymentFile['workers'][number];
/** A model as the file names it. */
export type ModelSpec = z.output<z.ZodObject<typeof modelFields>>;
/** One of several models. */
export type ListedModel = NonNullable<DeploymentFile['models']>[number];
/** Where packets of a destination go: a port, and the MAC addresses there. */
export type Hop = Omit<DeviceSpec['routes'][number], 'prefix'>;

/** The text of `schema/deployment.schema.json`. */
export function deploymentSchemaText(): string {
  const schema = z.toJSONSchema(deploymentSchema, { io: 'input', target: 'draft-2020-12' });
  const either = [{ required: ['model'] }, { required: ['models'] }];
  return `${JSON.stringify({ ...schema, oneOf: either }, null, 2)}\n`;
}
