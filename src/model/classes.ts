import { type Model, outputType, valueType } from './model.ts';
import { elementCount } from './tensor.ts';

/** Classes that the model's answer tells apart: elements of the last tensor, of the one before a verdict. */
export function classCount(model: Model): number {
  const last = model.layers.at(-1);
  if (last?.kind === 'forest' && last.result === 'verdict') return last.base.length;
  const scores = last?.kind === 'argmax' ? valueType(model, last.inputs[0]!) : outputType(model);
  return elementCount(scores.shape);
}

/** The model with names for its classes, if there is one for each; as it is otherwise. */
export const withClasses = (model: Model, classes: readonly string[] | undefined): Model =>
  classes?.length === classCount(model) ? { ...model, classes } : model;

/** Index of the largest, the first of equals, as a verdict's class is. */
export function largestAt(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
