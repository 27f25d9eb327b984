import { entry } from './entry.ts';

/** Models of TFLite. */
export const tfliteMessages = {
  'tflite-malformed': entry<{ reason: string }>(
    'error',
    (a) => `is no TFLite model: ${a.reason}`,
    () => 'convert the model again, or check that the file is whole',
  ),
  'tflite-unsupported-operator': entry<{ operator: string; count: number }>(
    'error',
    (a) => `operator ${a.operator} is not supported${a.count > 1 ? ` (${a.count} times, first here)` : ''}`,
    () =>
      'docs/tflite.md lists what is: leave it out of the network before it is converted (of Keras: build ' +
      'tf.keras.Model(inputs, layer.output) up to the layer before), or end the model before it with --output-tensor NAME',
  ),
  'tflite-not-integer': entry<{ tensor: string; what: string }>(
    'error',
    (a) => `${a.tensor} is ${a.what}`,
    () =>
      'convert with full integer quantisation: a representative_dataset and ' +
      'supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]',
  ),
  'tflite-dynamic': entry<{ tensor: string; what: string }>(
    'error',
    (a) => `${a.what} (${a.tensor}) is computed by the graph`,
    () => 'it must be a constant of the file',
  ),
  'tflite-open-shape': entry<{ tensor: string }>(
    'error',
    (a) => `the input ${a.tensor} has sizes that are open until the model runs`,
    () =>
      'convert with fixed ones (tf.keras.Input(shape=...), or a concrete function of that shape); only the batch may be open',
  ),
  'tflite-option': entry<{ option: string; value: string; supported: string }>(
    'error',
    (a) => `option ${a.option} = ${a.value} is not supported (supported: ${a.supported})`,
    () => 'convert the model with one of those, or cut it before this operator',
  ),
  'tflite-interface': entry<{ what: string }>(
    'error',
    (a) => a.what,
    () => 'docs/tflite.md says which inputs and outputs a model may have; a cut names one of several',
  ),
  'softmax-as-argmax': entry(
    'note',
    () => 'the softmax at the end becomes a verdict: the class it would favour and the margin before it',
  ),
};
