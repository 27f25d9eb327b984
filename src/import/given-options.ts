import type { ImportOptions } from './builder.ts';

/** What of the options a caller may choose: which part of a model file is meant, and how it rounds. */
export type SourceOptions = Omit<ImportOptions, 'multiplierBits'>;

/** Options from arguments or a document, in which those that were not given are undefined. */
export const importOptionsOf = (
  o: {
    readonly [Name in keyof SourceOptions]?: SourceOptions[Name] | undefined;
  },
): SourceOptions => ({
  ...(o.inputTensor !== undefined && { inputTensor: o.inputTensor }),
  ...(o.outputTensor !== undefined && { outputTensor: o.outputTensor }),
  ...(o.inputRange !== undefined && { inputRange: o.inputRange }),
  ...(o.outputRange !== undefined && { outputRange: o.outputRange }),
  ...(o.missing !== undefined && { missing: o.missing }),
  ...(o.tfliteRounding !== undefined && { tfliteRounding: o.tfliteRounding }),
});
