import { z } from 'zod';
import { deviceKinds } from '../../controller/deployment-schema.ts';
import { oneOf } from '../../names-schema.ts';
import { type Metric, metricSchema } from '../cats/index.ts';
import { capacity } from '../manifests/device.ts';
import {
  address,
  devicePort,
  integer,
  listOf,
  mac,
  number,
  objectName,
  text,
  zones,
} from '../manifests/fields.ts';
import { workerSpec } from '../manifests/worker.ts';

/** What a node says of itself when it announces itself, and again with each heartbeat. */

const held = z.strictObject({
  modelId: integer(1, 0xffff, 'Of packets'),
  name: text('Of the model').max(200).optional(),
  current: integer(1, 0xffff, 'Version of requests that name none').optional(),
  versions: listOf(
    z.strictObject({
      version: integer(1, 0xffff, 'Of the weights'),
      digest: text('Of what it computes').max(100).optional(),
      layers: text("That are held, as 'A..B'").max(20),
    }),
    256,
  ),
});

/** What it is, what it holds and what it could hold (capability advertisement). */
export const capabilitySchema = z
  .strictObject({
    kind: text('What computes: worker, or the target of a device').max(40),
    accelerator: text('On what: cpu, xdp, asic, gpu').max(40),
    engine: text('By what: onnxruntime, reference, libbpf').max(80).optional(),
    models: listOf(held, 1024).default([]),
    couldHold: z
      .strictObject({
        layers: integer(0, 255, 'Most layers of a model'),
        memoryBytes: integer(0, Number.MAX_SAFE_INTEGER, 'Of weights'),
        slots: integer(0, 65_536, 'Versions that still have room').optional(),
      })
      .describe('Beside what is held'),
    load: number(0, 1, 'Share of it that is busy'),
    zone: text('Trust zone of the planner').max(100).default('default'),
  })
  .describe('What the node is, holds, and could hold');
/** As a node announces it, with its defaults filled in. */
export type Capability = z.output<typeof capabilitySchema>;

const common = {
  name: objectName,
  instance: text('Another one after each start of the node').max(100),
  leaseMs: integer(1000, 600_000, 'How long it counts as there after it was heard of last, ms').default(
    15_000,
  ),
  capability: capabilitySchema,
  /** Raw metrics of level 0, over the last window. */
  metrics: listOf(metricSchema, 64).default([]),
  links: listOf(
    z.strictObject({
      node: objectName.describe('Device at the other end'),
      port: devicePort('Of that device'),
      latencyUs: number(0, 1e9, 'Microseconds').default(0),
      mac: mac.optional().describe('Of the node that announces itself'),
      peerMac: mac.optional().describe('Of that port'),
    }),
    64,
  )
    .default([])
    .describe('How packets reach it'),
  labels: z.record(z.string().max(200), z.string().max(63)).default({}),
};

const door = {
  tls: z
    .boolean()
    .default(false)
    .describe("Its door asks for TLS: the controller's --node-tls options are used"),
  serverName: text('In its certificate, if not the host that is dialled').max(253).optional(),
};

/** The body of a registration: the first one creates the object, the same one again is the heartbeat. */
export const registrationSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('Worker'),
    ...common,
    spec: z.strictObject({
      control: address,
      ...door,
      address: workerSpec.shape.address,
      mac: mac.optional(),
      zone: text('Trust zone of the planner').max(100).default('default'),
      zones,
      capacity: capacity.optional(),
      weight: workerSpec.shape.weight,
    }),
  }),
  z.strictObject({
    kind: z.literal('Device'),
    ...common,
    spec: z.strictObject({
      target: oneOf(deviceKinds),
      address,
      deviceId: integer(1, Number.MAX_SAFE_INTEGER, 'P4Runtime device id'),
      ...door,
      zone: text('Trust zone of the planner').max(100).default('default'),
      zones,
      capacity: capacity.optional(),
    }),
  }),
]);
/** An announcement as it is read: with its defaults. */
export type Registration = z.output<typeof registrationSchema>;
/** The same as a node sends it. */
export type RegistrationInput = z.input<typeof registrationSchema>;

/** What the controller answers to a registration. */
export interface Registered {
  readonly name: string;
  readonly kind: Registration['kind'];
  readonly action: 'created' | 'configured' | 'renewed';
  readonly leaseMs: number;
  /** How often it should be heard of. */
  readonly heartbeatMs: number;
  /** Scores of levels 1 and 2 as they are told now. */
  readonly scores: readonly Metric[];
}

/** Marks what announced itself; an object without it is an operator's. */
export const REGISTERED_LABEL = 'intransit.dev/registered';
