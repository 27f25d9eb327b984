import { z } from 'zod';
import { conditionSchema } from './conditions.ts';
import { flag, integer, listOf, milliseconds, number, objectName, reference } from './fields.ts';

const step = z.strictObject({
  percent: number(0, 100, 'Share of jobs on the new version'),
  holdMs: milliseconds('How long before the next step').default(0),
});

const abort = z
  .strictObject({
    errorRate: number(0, 1, 'Most requests without an answer, as a share').optional(),
    latencyUs: number(1, 1e9, '99th percentile, microseconds').optional(),
    marginDrop: number(0, 255, 'Most by which the mean margin may fall').optional(),
    minimumAnswers: integer(1, 1_000_000_000, 'Answers before anything is judged').default(100),
  })
  .describe('What takes it back by itself');

/** A change of the current version of a service, on everything that computes. */
export const rolloutSpec = z.strictObject({
  service: reference('Service', 'Whose version changes'),
  version: integer(1, 0xffff, 'Version to go to'),
  canary: listOf(step, 64)
    .default([])
    .refine((steps) => steps.every((s, i) => i === 0 || s.percent >= steps[i - 1]!.percent), {
      error: 'expected percents that do not fall',
    })
    .describe('Shares on the way; none is all at once'),
  abort: abort.optional(),
  drainMs: integer(0, 600_000, 'How long packets of the previous version may still be under way').default(
    1000,
  ),
  keep: flag('Leave the previous version on the nodes, so that going back is one write').default(false),
  paused: flag('Stay at the present step').default(false),
  rollback: flag('Go back to the version before').default(false),
  after: listOf(objectName, 64).default([]).describe('Rollouts that must be complete before'),
});

/** What goes well runs from pending to removing, and is complete then. */
export const rolloutPhases = [
  'pending',
  'installing',
  'canary',
  'flipping',
  'draining',
  'removing',
  'paused',
  'complete',
  'rolling back',
  'rolled back',
  'failed',
] as const;
/** Where a rollout stands, as it is shown. */
export type RolloutPhase = (typeof rolloutPhases)[number];

/** How far a rollout is, for people and for the controller that goes on with it. */
export const rolloutStatus = z.object({
  conditions: z.array(conditionSchema).default([]),
  phase: z.enum(rolloutPhases).optional(),
  step: z.int().optional(),
  percent: z.number().optional(),
  previous: z.int().optional().describe('Version that was current before'),
  nodes: z
    .array(z.object({ node: z.string(), state: z.string() }))
    .optional()
    .describe('How far each node is'),
});
