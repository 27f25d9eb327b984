import { z } from 'zod';

/** Fields that documents about flows begin with; what each is of stands in its `spec`. */
export const documentHead = <const Kind extends string>(kind: Kind) => ({
  apiVersion: z.literal('intransit.dev/v1alpha1', { error: 'expected intransit.dev/v1alpha1' }),
  kind: z.literal(kind, { error: `expected ${kind}` }),
  metadata: z.strictObject({ name: z.string().min(1), description: z.string().optional() }),
});
