import { elementCount } from './tensor.ts';

/** Whether an operand has one element a channel, of several positions of the output `[channels, ...]`. */
export const isBroadcast = (operand: readonly number[], output: readonly number[]): boolean =>
  elementCount(operand) === output[0] && elementCount(output) > output[0];
