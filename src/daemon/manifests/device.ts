import { z } from 'zod';
import { deviceKinds } from '../../controller/deployment-schema.ts';
import { oneOf } from '../../names-schema.ts';
import { conditionSchema } from './conditions.ts';
import { address, devicePort, integer, listOf, mac, number, text, tls, zones } from './fields.ts';

/** Limits of a node that the planner keeps to, beside those of its kind. */
export const capacity = z
  .strictObject({
    memoryBytes: integer(0, Number.MAX_SAFE_INTEGER, 'For weights, tables and scratch').optional(),
    maxLayers: integer(0, 255, 'Most layers').optional(),
    load: number(0, 1, 'Share that other work takes; what is measured goes before it').optional(),
    price: number(0, 1e12, 'Money for each inference of which it computes layers').optional(),
  })
  .describe('Limits beside those of the kind');

const hop = {
  port: devicePort('Port by which they leave').optional(),
  sourceMac: mac.optional().describe('With destinationMac: rewritten, and the time to live is one less'),
  destinationMac: mac.optional(),
  drop: z.literal(true, { error: 'expected true, or no such field' }).optional(),
};

const PREFIX = 'expected an IPv4 prefix such as 10.0.0.0/8, or one address';

const forwarding = z
  .strictObject({
    ports: listOf(z.strictObject({ ingress: devicePort('Port'), egress: devicePort('Port') }), 511)
      .default([])
      .describe('Packets that come in here leave there; what no entry names is dropped'),
    routes: listOf(
      z
        .strictObject({
          prefix: z
            .string({ error: PREFIX })
            .regex(/^\d{1,3}(\.\d{1,3}){3}(\/\d{1,2})?$/, PREFIX)
            .describe('IPv4'),
          ...hop,
        })
        .refine((r) => (r.port === undefined) !== (r.drop === undefined), {
          error: 'expected either port or drop',
        })
        .refine((r) => (r.sourceMac === undefined) === (r.destinationMac === undefined), {
          error: 'expected sourceMac and destinationMac, or neither',
        }),
      4096,
    )
      .default([])
      .describe('By the destination; goes before `ports`'),
  })
  .describe('Packets that no service steers');

/** A switch or an XDP host, driven over P4Runtime. */
export const deviceSpec = z.strictObject({
  target: oneOf(deviceKinds).describe('What programs it runs'),
  address: address.describe('Of its P4Runtime server'),
  deviceId: integer(1, Number.MAX_SAFE_INTEGER, 'P4Runtime device id').default(1),
  tls: tls.optional(),
  zone: text('Trust zone of the planner').default('default'),
  zones: zones.describe('Trust zones of packets for which it computes besides 0, any'),
  capacity: capacity.optional(),
  weight: integer(
    1,
    1000,
    'Share of jobs beside devices that compute the same layers; where none of them says it, by how fast each is',
  ).optional(),
  forwarding: forwarding.default({ ports: [], routes: [] }),
  replaceProgram: z
    .boolean({ error: 'expected true or false' })
    .default(false)
    .describe('Push another program where the one that runs does not do; packets are lost meanwhile'),
});

/** States of a managed endpoint; docs/controller.md draws them. */
export const endpointStates = [
  'unknown',
  'unreachable',
  'arbitrating',
  'behind',
  'in sync',
  'draining',
] as const;
/** How far a node is on its way to what it should be. */
export type EndpointState = (typeof endpointStates)[number];

/** What a device or worker holds of one model. */
const heldModel = z.object({
  modelId: z.int(),
  current: z.int().optional(),
  versions: z.array(z.object({ version: z.int(), digest: z.string(), layers: z.string() })),
});

/** What a node says of its load; CATS' measures are beside it in `metrics`. */
const load = z.object({
  /** Inferences a second that it computed in the last window. */
  computedPerSecond: z.number().optional(),
  passedPerSecond: z.number().optional().describe('Packets that were meant for others, or were no requests'),
  shedPerSecond: z.number().optional().describe('Requests beyond a budget'),
  refusedPerSecond: z.number().optional(),
  queue: z.int().optional().describe('Rows that wait at a worker'),
  isOverloaded: z.boolean().optional().describe('As the worker says'),
  utilisation: z.number().optional(),
  slotsFree: z.int().optional(),
  memoryFreeBytes: z.int().optional(),
});

/** Status of what is driven: devices and workers. */
export const endpointStatus = z.object({
  conditions: z.array(conditionSchema).default([]),
  state: z.enum(endpointStates).optional(),
  electionId: z.string().optional(),
  models: z.array(heldModel).optional(),
  load: load.optional(),
  registration: z
    .object({
      actor: z.string().describe('Who announced it'),
      instance: z.string(),
      leaseMs: z.int(),
      since: z.iso.datetime(),
      lostAt: z.iso.datetime().optional().describe('When its lease ended'),
    })
    .optional()
    .describe('Of a node that announced itself'),
  capability: z
    .record(z.string(), z.unknown())
    .optional()
    .describe('What it is, holds and could hold, as it says'),
  metrics: z.array(z.record(z.string(), z.unknown())).optional().describe('CATS metrics, levels 0 to 2'),
  counters: z
    .record(z.string(), z.number())
    .optional()
    .describe('Packets by outcome, when the rates were written last'),
  lastSeen: z.iso.datetime().optional(),
});
