import { z } from 'zod';
import { flag, integer, listOf, objectName, reference, text } from './fields.ts';

const actions = ['count', 'drop', 'mark', 'limit', 'mirror', 'redirect', 'digest'] as const;

const action = z
  .strictObject({
    class: integer(0, 65_535, 'Class of the verdict'),
    action: z.enum(actions, { error: `expected one of ${actions.join(', ')}` }),
    dscp: integer(0, 63, 'With mark').optional(),
    port: integer(0, 510, 'With mirror and redirect').optional(),
    packetsPerSecond: integer(1, 1_000_000_000, 'With limit').optional(),
  })
  .superRefine((a, context) => {
    const needed = { mark: 'dscp', mirror: 'port', redirect: 'port', limit: 'packetsPerSecond' } as const;
    const field = a.action in needed ? needed[a.action as keyof typeof needed] : undefined;
    if (field !== undefined && a[field] === undefined)
      context.addIssue({ code: 'custom', path: [field], message: `expected with the action ${a.action}` });
  });

/** Ordinary traffic classified by a model, and what becomes of each class. */
export const flowPolicySpec = z.strictObject({
  model: reference('Model', 'That classifies flows'),
  features: text('Name of a feature definition of the gallery'),
  devices: listOf(objectName, 4096).min(1, 'expected at least one device').describe('That classify'),
  actions: listOf(action, 256).default([]).describe('By class; a class without one is counted'),
  threshold: integer(0, 255, 'Margins below it go to the worker').default(0),
  worker: reference('Worker', 'That answers where the margin is below the threshold').optional(),
  suspended: flag('Taken off the devices, but remembered').default(false),
});
