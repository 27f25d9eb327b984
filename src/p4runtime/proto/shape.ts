import type { MessagePlan } from './field-plan.ts';

/** As much of a message's schema as it takes to find the messages in its bytes. */
export interface MessageShape {
  /** What a field of that number holds: a message, numbers packed one behind the other, or undefined for a plain value. */
  field(number: number): MessageShape | 'packed' | undefined;
}

const shapes = new WeakMap<MessagePlan, MessageShape>();

/** An entry of a map: key 1, value 2. */
const entryOf = (value: MessageShape | undefined): MessageShape => ({
  field: (number) => (number === 2 ? value : undefined),
});

/** The same object for the same plan: messages may hold themselves. */
export function shapeOf(plan: MessagePlan): MessageShape {
  const known = shapes.get(plan);
  if (known !== undefined) return known;
  const byNumber = new Map<number, MessageShape | 'packed'>();
  const shape: MessageShape = { field: (number) => byNumber.get(number) };
  // First, because messages refer to each other in circles.
  shapes.set(plan, shape);
  for (const { id, rule, type, wire } of plan.fields) {
    const inner = type.kind === 'message' ? shapeOf(type.message) : undefined;
    if (rule === 'map') byNumber.set(id, entryOf(inner));
    else if (inner !== undefined) byNumber.set(id, inner);
    else if (rule === 'repeated' && wire === 0) byNumber.set(id, 'packed');
  }
  return shape;
}
