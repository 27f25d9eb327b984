import { z } from 'zod';

/** What is so at present of an object, and why; the words are those of the field (Kubernetes' API conventions). */
export const conditionSchema = z.object({
  type: z.string().describe('What it is about, such as Ready'),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().describe('One word for programs'),
  message: z.string().describe('A sentence for people'),
  lastTransitionTime: z.iso.datetime().describe('When status became what it is'),
  observedGeneration: z.int().describe('The generation of the spec that this was found for'),
});

/** As Kubernetes has them: a type, and whether it is so. */
export type Condition = z.output<typeof conditionSchema>;
/** As a controller finds it: when it last changed is found by comparing with the one before. */
export type ConditionInput = Omit<Condition, 'lastTransitionTime'>;

/**
 * The conditions with one of them set: its time moves only when its status does.
 * @param now ISO 8601
 */
export function withCondition(
  conditions: readonly Condition[],
  input: ConditionInput,
  now: string,
): readonly Condition[] {
  const before = conditions.find((c) => c.type === input.type);
  const lastTransitionTime = before?.status === input.status ? before.lastTransitionTime : now;
  const next = { ...input, lastTransitionTime };
  return before === undefined ? [...conditions, next] : conditions.map((c) => (c === before ? next : c));
}
