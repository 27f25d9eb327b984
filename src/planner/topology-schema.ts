import { z } from 'zod';
import { fileHead, oneOf } from '../names-schema.ts';
import { nodeKinds } from './node-kinds.ts';

/**
 * The one definition of a topology file: `plan` validates with it, `schema/topology.schema.json` is generated from it.
 * docs/plan.md explains it with examples.
 */

/** The only one that is read. */
export const TOPOLOGY_VERSION = 1;

const name = z.string().min(1, 'expected a name of at least one character');
const atLeastZero = z.number({ error: 'expected a number of at least 0' }).min(0, 'expected at least 0');
const positive = z.number({ error: 'expected a number above 0' }).positive('expected a number above 0');
const count = z.int({ error: 'expected a whole number of at least 0' }).min(0, 'expected at least 0');

const cost = z
  .strictObject({
    packetNs: atLeastZero.default(0).describe('ns of every packet that arrives, computed or passed on'),
    fixedNs: atLeastZero.default(0).describe('ns of every packet that is computed, whatever its layers'),
    macNs: atLeastZero.default(0).describe('ns a multiply-accumulate of the model'),
    multiplyNs: atLeastZero.default(0).describe("ns a multiply of the target's own words (packed lanes)"),
    neuronNs: atLeastZero.default(0).describe('ns a requantised output element'),
    stageNs: atLeastZero.default(0).describe('ns a stage of a pipe'),
    origin: z.string().min(1).default('the topology file').describe('Where the numbers come from'),
  })
  .describe('Instead of the fitted model of the kind; docs/plan.md tells how to fit one from bench --json');

const node = z.strictObject({
  name: name.describe('Unique'),
  kind: oneOf(nodeKinds),
  zone: name.default('default').describe('Trust zone'),
  load: z
    .number({ error: 'expected a number in 0..1' })
    .min(0, 'expected a number in 0..1')
    .max(1, 'expected a number in 0..1')
    .default(0)
    .describe(
      'Share of the node that is taken: computing takes 1 / (1 - load) times as long; at 1 it computes nothing',
    ),
  memory: count.optional().describe('Bytes for weights, tables and scratch; unlimited if absent'),
  maxLayers: count.optional().describe('Most layers on this node'),
  price: atLeastZero.default(0).describe('Money for each inference of which it computes layers'),
  headers: z.array(name).default([]).describe('Extra headers that it parses; see constraints.headers'),
  limits: z
    .record(name, atLeastZero)
    .default({})
    .describe('Other limits by the name of the resource, for example "tables" or "verified instructions"'),
  options: z
    .record(name, z.string())
    .default({})
    .describe('Own options of its kind, as `compile` takes them: of a "tna" node the "chip"'),
  cost: cost.optional(),
});

const link = z.strictObject({
  from: name,
  to: name,
  oneWay: z.boolean().default(false).describe('Only from `from` to `to`; else both ways'),
  latencyUs: atLeastZero.describe('Propagation and queueing, microseconds'),
  bandwidthMbps: positive.describe('Megabits a second'),
  mtu: z
    .int({ error: 'expected a whole number in 68..65535' })
    .min(68, 'expected at least 68')
    .max(65_535, 'expected at most 65535')
    .default(1500)
    .describe('Largest IP packet, bytes'),
});

const objective = z.discriminatedUnion(
  'minimise',
  [
    z.strictObject({ minimise: z.literal('latency') }),
    z.strictObject({
      minimise: z.literal('cost'),
      latencyUs: positive.describe('Bound of the end-to-end latency, microseconds'),
    }),
  ],
  { error: "expected minimise: 'latency', or 'cost' with a bound latencyUs" },
);

const layerRule = z
  .strictObject({
    layers: z
      .union([name, z.array(name).min(1)])
      .describe("Names of layers, or ranges 'A..B' (B is not in it)"),
    zones: z.array(name).min(1).optional().describe('Zones in which these layers may run'),
    nodes: z
      .array(name)
      .min(1)
      .optional()
      .describe('Nodes on which these layers may run; one node pins them'),
  })
  .describe('Where some layers may run');

const header = z
  .strictObject({ name, bytes: count.describe('Bytes that it adds to every packet') })
  .describe(
    'A header besides Ethernet, IPv4, UDP and the inference header: a node that does not parse it only forwards',
  );

const constraints = z.strictObject({
  rawInput: z.array(name).min(1).optional().describe('Zones that the raw input may not leave'),
  layers: z.array(layerRule).default([]),
  maxLayers: count.optional().describe('Most layers on any one node'),
  headers: z.array(header).default([]),
});

const replicas = z
  .int({ error: 'expected a whole number in 1..64' })
  .min(1, 'expected at least 1')
  .max(64, 'expected at most 64');

/** A topology file (docs/plan.md). */
export const topologySchema = z
  .strictObject({
    ...fileHead('intransit-topology', TOPOLOGY_VERSION),
    name: name.optional().describe('The name of the file if absent'),
    nodes: z.array(node).min(1),
    links: z.array(link).default([]),
    ingress: name.describe('Node at which requests enter'),
    egress: name.describe('Node to which answers go; may be the ingress'),
    objective: objective.default({ minimise: 'latency' }),
    constraints: constraints.default({ layers: [], headers: [] }),
    replicas: replicas
      .optional()
      .describe(
        'How many devices compute the same layers, wherever a plan puts some on a device; one if absent',
      ),
    minReplicas: replicas.optional().describe('With fewer of them there is no plan; one if absent'),
  })
  .meta({ title: 'intransit topology', description: 'Nodes and links among which a model is divided' });

/** A topology as validated: defaults are filled in. */
export type Topology = z.output<typeof topologySchema>;
/** As written: what has a default may be absent. */
export type TopologyInput = z.input<typeof topologySchema>;
/** A machine of the topology, with its defaults filled in. */
export type TopologyNode = Topology['nodes'][number];
/** What the plan makes least: the latency, or the cost under a bound of the latency. */
export type Objective = Topology['objective'];

/** The text of `schema/topology.schema.json`. */
export function topologySchemaText(): string {
  const schema = z.toJSONSchema(topologySchema, { io: 'input', target: 'draft-2020-12' });
  return `${JSON.stringify(schema, null, 2)}\n`;
}
