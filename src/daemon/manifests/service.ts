import { z } from 'zod';
import { conditionSchema } from './conditions.ts';
import { flag, integer, listOf, milliseconds, number, objectName, reference, text } from './fields.ts';

const ADDRESS = 'expected the IPv4 address that all of its workers have, A.B.C.D';
const MODELS = 'expected model or models, one of them';

const objective = z
  .strictObject({
    latencyUs: number(1, 1e9, 'From the first device to the answer, microseconds'),
    percentile: number(1, 100, 'Of answers that keep to it').default(99),
  })
  .describe('Measured; missed, it is an alarm');

const serviceClass = z
  .strictObject({
    priority: integer(0, 7, 'Higher goes first').default(0),
    inferencesPerSecond: integer(
      1,
      1_000_000_000,
      'Beyond it packets pass on uncomputed, counted as shed',
    ).optional(),
    burst: integer(1, 1_000_000_000, 'Inferences at once').optional(),
  })
  .describe('What it may take of what it shares');

const layerRule = z.strictObject({
  layers: text("Layers 'A..B' (B is not one of them), or the name of one"),
  zones: listOf(text('A zone of nodes'), 64).optional(),
  nodes: listOf(objectName, 256).optional(),
});

const policy = z
  .strictObject({
    minimise: z.enum(['latency', 'cost'], { error: 'expected latency or cost' }).default('latency'),
    affinityMs: milliseconds('How long a job stays with its worker after its last request').default(60_000),
    rawInputZones: listOf(text('A zone of nodes'), 64)
      .optional()
      .describe('Zones that the raw input may not leave: it is dropped where nobody in them can have it'),
    layers: listOf(layerRule, 64).default([]).describe('Where some layers may run'),
    maxLayers: integer(1, 255, 'Most layers on any one node').optional(),
    replicas: integer(
      1,
      64,
      'Devices that compute the same layers and share the jobs, wherever layers are on devices; fewer where there are not as many',
    ).default(1),
    minReplicas: integer(1, 64, 'With fewer of them it has no place').default(1),
    threshold: integer(
      0,
      255,
      'Least margin at which a verdict is an answer; requests below it go on',
    ).default(0),
  })
  .refine((p) => p.minReplicas <= p.replicas, {
    error: 'expected at most replicas',
    path: ['minReplicas'],
  })
  .describe('How it is placed and steered');

const POLICY_DEFAULTS = {
  minimise: 'latency',
  affinityMs: 60_000,
  layers: [],
  replicas: 1,
  minReplicas: 1,
  threshold: 0,
} as const;

/** Models that are offered to traffic: what the network is for. */
export const serviceSpec = z
  .strictObject({
    model: reference('Model', 'That answers').optional(),
    models: listOf(reference('Model', 'That answers'), 16)
      .min(1, 'expected at least one model')
      .optional()
      .describe(
        'In order of preference: a later one answers where an earlier one does not fit the objective',
      ),
    version: integer(1, 0xffff, 'Version that is current; default the highest. Rollouts move it').optional(),
    ingress: reference('Device', 'At which requests enter').optional(),
    egress: reference('Device or Worker', 'To which answers go; default the ingress').optional(),
    nodes: listOf(objectName, 4096)
      .optional()
      .describe('Devices and workers that it may use, in the order of the path; default all'),
    address: z
      .string({ error: ADDRESS })
      .regex(/^\d{1,3}(\.\d{1,3}){3}$/, ADDRESS)
      .optional()
      .describe(
        'IPv4 address that all of its workers have: jobs are sent there, and devices spread them by weight',
      ),
    port: integer(1, 0xffff, 'UDP port of requests').default(18_858),
    mtu: integer(68, 0xffff, 'Largest IP packet of the path, bytes').default(1500),
    objective: objective.optional(),
    class: serviceClass.optional(),
    policy: policy.default({ ...POLICY_DEFAULTS, layers: [] }),
    fallback: reference(
      'Service',
      'To which its name leads while no worker of its own can be had, or nothing places it',
    ).optional(),
    suspended: flag('Taken off the devices, but remembered').default(false),
  })
  .refine((s) => (s.model === undefined) !== (s.models === undefined), { error: MODELS });

/** A service as a user asks for it, with the defaults filled in. */
export type ServiceSpec = z.output<typeof serviceSpec>;

/** Models of a service, the preferred first. */
export const modelsOf = (spec: Pick<ServiceSpec, 'model' | 'models'>): readonly string[] =>
  spec.models ?? (spec.model === undefined ? [] : [spec.model]);

/** Who answers a service at present, and how well. */
export const serviceStatus = z.object({
  conditions: z.array(conditionSchema).default([]),
  model: z.string().optional().describe('That answers at present'),
  version: z.int().optional().describe('Current version'),
  placement: z.string().optional(),
  shares: z
    .array(
      z.object({
        node: z.string(),
        layers: z
          .string()
          .optional()
          .describe('That a device computes as others do; a worker takes what is left'),
        weight: z
          .number()
          .describe('Of the manifest, or by how fast it is, less what an overload takes from it'),
        percent: z.number().describe('Of the jobs'),
      }),
    )
    .optional()
    .describe(
      'Of jobs that devices spread: over devices that compute the same layers, and over its workers where it has an address',
    ),
  latency: z
    .object({
      p50Us: z.number(),
      p99Us: z.number(),
      count: z.int().describe('Answers of the window'),
      missed: z.int().describe('Answers of the window that took longer than the objective'),
      by: z
        .enum(['edge', 'worker'])
        .describe('Who measured: edges from end to end, or workers from arrival to answer'),
    })
    .partial()
    .optional()
    .describe('Over the last 10 s'),
  rates: z
    .object({ answeredPerSecond: z.number(), failedPerSecond: z.number(), networkPerSecond: z.number() })
    .partial()
    .optional()
    .describe('Answers and failures as they were measured, and answers that devices gave'),
  counters: z.record(z.string(), z.number()).optional(),
});
