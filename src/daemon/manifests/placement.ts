import { z } from 'zod';
import { conditionSchema } from './conditions.ts';
import { integer, listOf, number, reference, text } from './fields.ts';

/** Which layers of a service's model run where. Made by the daemon; there is one a service, of the same name. */
export const placementSpec = z.strictObject({
  service: reference('Service', 'That it places'),
  model: reference('Model', 'That answers'),
  version: integer(1, 0xffff, 'Current version').optional(),
  segments: listOf(
    z.strictObject({
      kind: z.enum(['Device', 'Worker']),
      node: reference('Device or Worker', 'That computes'),
      layers: text("Layers 'A..B' (B is not one of them)"),
      weight: number(0, 1000, 'Share beside others of the same layers').default(1),
    }),
    8192,
  ).default([]),
  foreseenLatencyUs: number(0, 1e12, 'By the planner').optional(),
  reason: text('Why it is so').optional(),
});

/** What the nodes of a placement compute at present. */
export const placementStatus = z.object({
  conditions: z.array(conditionSchema).default([]),
  segments: z
    .array(z.object({ node: z.string(), layers: z.string(), computedPerSecond: z.number() }))
    .optional()
    .describe('What each computes, over the last 10 s'),
});
