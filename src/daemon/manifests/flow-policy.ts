import { z } from 'zod';
import { conditionSchema } from './conditions.ts';
import { flag, integer, listOf, objectName, reference, text } from './fields.ts';

const actions = ['count', 'drop', 'mark', 'limit', 'mirror', 'redirect'] as const;

const RATE = 'expected a whole number with bit, kbit, Mbit or Gbit, for example 2Mbit';
const BURST = 'expected bytes with their unit, for example 64KiB';
const CLASS = 'expected the number of a class in 0..255, or its name';

const action = z
  .strictObject({
    class: z
      .union([z.int().min(0).max(255), z.string().min(1)], { error: CLASS })
      .describe('Class of the verdict, by its number or its name'),
    action: z.enum(actions, { error: `expected one of ${actions.join(', ')}` }),
    dscp: integer(0, 63, 'With mark').optional(),
    port: integer(0, 510, 'With mirror and redirect').optional(),
    rate: z
      .string({ error: RATE })
      .regex(/^\d{1,9}(bit|kbit|Mbit|Gbit)$/, RATE)
      .optional()
      .describe('With limit: bits a second, whole frames counted; what is beyond is dropped'),
    burst: z
      .string({ error: BURST })
      .regex(/^\d{1,9}(B|KiB|MiB)$/, BURST)
      .optional()
      .describe('With limit: bytes at once; default a tenth of a second of the rate, at least 16KiB'),
  })
  .superRefine((a, context) => {
    const needed = { mark: 'dscp', mirror: 'port', redirect: 'port', limit: 'rate' } as const;
    const field = a.action in needed ? needed[a.action as keyof typeof needed] : undefined;
    if (field !== undefined && a[field] === undefined)
      context.addIssue({ code: 'custom', path: [field], message: `expected with the action ${a.action}` });
  });

/** Ordinary traffic classified by a model, and what becomes of each class. */
export const flowPolicySpec = z
  .strictObject({
    model: reference('Model', 'That classifies flows'),
    version: integer(1, 0xffff, 'Of the model; default the highest').optional(),
    features: text('Name of a feature definition of the gallery'),
    devices: listOf(objectName, 4096).default([]).describe('That classify'),
    selector: z
      .record(z.string(), z.string({ error: 'expected a text' }))
      .refine((labels) => Object.keys(labels).length > 0, { error: 'expected at least one label' })
      .optional()
      .describe('Devices with all of these labels classify too'),
    actions: listOf(action, 1024).default([]).describe('By class; a class without one is counted'),
    suspended: flag('Taken off the devices, but remembered').default(false),
  })
  .refine((s) => s.devices.length > 0 || s.selector !== undefined, {
    path: ['devices'],
    error: 'expected at least one device, or a selector',
  });

/** What the controller says of a policy. */
export const flowPolicyStatus = z.object({
  conditions: z.array(conditionSchema).default([]),
  version: z.int().optional().describe('That classifies'),
  devices: z
    .array(z.object({ name: z.string(), ready: z.boolean(), why: z.string().optional() }))
    .optional()
    .describe('Those that it is for; why one does not classify'),
  outcomes: z
    .record(z.string(), z.number())
    .optional()
    .describe('Packets by what became of them, then flows; of all devices, since their programs began'),
  classes: z
    .array(
      z.object({
        class: z.int(),
        name: z.string().optional(),
        packets: z.number(),
        bytes: z.number(),
        limitedPackets: z.number(),
      }),
    )
    .optional()
    .describe('Packets of flows by class, from their verdict on'),
});
