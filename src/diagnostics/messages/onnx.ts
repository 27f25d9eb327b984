import { entry, list } from './entry.ts';

/** Models of ONNX. */
export const onnxMessages = {
  'onnx-malformed': entry<{ reason: string }>(
    'error',
    (a) => `is no ONNX model: ${a.reason}`,
    () => 'export the model again, or check that the file is whole',
  ),
  'onnx-not-quantised': entry<{ model: string }>(
    'error',
    () => 'is a float32 network: nothing in it is quantised',
    (a) => `make int8 of it: intransit quantise ${a.model} --calibrate ROWS -o OUT.onnx`,
  ),
  'onnx-dynamic-scales': entry<{ operator: string }>(
    'error',
    (a) => `its scales are found at run time (${a.operator}), by what a network device does not compute`,
    () =>
      'quantise the float network that it was made of: intransit quantise FLOAT.onnx --calibrate ROWS -o OUT.onnx ' +
      '(or quantize_static instead of quantize_dynamic)',
  ),
  'onnx-unsupported-operator': entry<{ operator: string; count: number; readsFloat: boolean }>(
    'error',
    (a) => `operator ${a.operator} is not supported${a.count > 1 ? ` (${a.count} times, first here)` : ''}`,
    (a) =>
      a.readsFloat
        ? 'it stands before the first QuantizeLinear: do it on the rows, and begin the model behind it with --input-tensor NAME'
        : 'docs/onnx.md lists what is: leave it out of the export, or cut the model before it with --output-tensor NAME',
  ),
  'onnx-float-weights': entry<{ tensor: string }>(
    'error',
    (a) => `weights ${a.tensor} are float32, not quantised`,
    () => 'quantise the model first, for example with onnxruntime.quantization.quantize_static in QDQ format',
  ),
  'onnx-float-value': entry<{ tensor: string; reason: string }>(
    'error',
    (a) => `value ${a.tensor} is computed in float32: ${a.reason}`,
    () => 'every operator needs quantised inputs and a QuantizeLinear behind it',
  ),
  'onnx-dynamic': entry<{ tensor: string; what: string }>(
    'error',
    (a) => `${a.what} of ${a.tensor} is known only at run time`,
    () =>
      'fix it in the graph: shapes (but for the batch), scales, zero points and weights must be constants',
  ),
  'onnx-attribute': entry<{ attribute: string; value: string; supported: string }>(
    'error',
    (a) => `attribute ${a.attribute} = ${a.value} is not supported (supported: ${a.supported})`,
    () => 'export the model with one of those, or cut it before this operator',
  ),
  'onnx-attribute-unknown': entry<{ attribute: string; operator: string; opset: number }>(
    'error',
    (a) => `attribute ${a.attribute} of ${a.operator} (operator set ${a.opset}) is not understood`,
    () => 'export to another operator set (10 to 23), or without this attribute',
  ),
  'onnx-input-unknown': entry<{ index: number; operator: string; opset: number }>(
    'error',
    (a) => `input ${a.index} of ${a.operator} (operator set ${a.opset}) is not understood`,
    () => 'export to another operator set (10 to 23), or without this input',
  ),

  'onnx-external-data': entry<{ reason: string }>(
    'error',
    (a) => `keeps its data in another file, and ${a.reason}`,
    () =>
      'put that file beside the model, or save the model with its data inside (onnx.save_model with save_as_external_data=False)',
  ),
  'onnx-several': entry<{ what: 'inputs' | 'outputs'; names: readonly string[] }>(
    'error',
    (a) =>
      a.names.length === 0
        ? `has no ${a.what}`
        : `has ${a.names.length} ${a.what} (${list(a.names)}); a packet carries one tensor`,
    (a) => `name one with --${a.what === 'inputs' ? 'input' : 'output'}-tensor NAME`,
  ),
  'onnx-cut': entry<{ tensor: string; option: string; known: readonly string[] }>(
    'error',
    (a) => `${a.option} ${a.tensor}: nothing in the graph makes a tensor of this name`,
    (a) => `names are for example ${list(a.known)}`,
  ),
  'onnx-float-end': entry<{ tensor: string; operator: string }>(
    'error',
    (a) =>
      `the output ${a.tensor} is float32: no QuantizeLinear stands behind the last operator, so it has no scale`,
    () =>
      'quantise the output as well: with quantize_static do not exclude the last node, in PyTorch put a QuantStub or ' +
      'QuantIdentity behind it; or give the range of its values with --output-range LO..HI, or end the model at an earlier ' +
      'tensor with --output-tensor NAME',
  ),
  'onnx-end-grid': entry<{ tensor: string; element: string; scale: number }>(
    'note',
    (a) => `the output ${a.tensor} is float32: it is given as ${a.element} in steps of ${a.scale}`,
  ),
  'onnx-inner-grid': entry<{ tensor: string; element: string; scale: number }>(
    'warning',
    (a) =>
      `value ${a.tensor} is float32 in the source, with no QuantizeLinear behind it: here it is rounded to ${a.element} in ` +
      `steps of ${a.scale}, so that answers may be some steps off`,
    () => 'quantise this operator as well: with quantize_static name its type in op_types_to_quantize',
  ),
  'forest-verdict': entry<{ trees: number; step: number }>(
    'note',
    (a) => `${a.trees} trees give a verdict: the label, and the margin in steps of ${a.step} of a score`,
  ),
  'forest-two-scores': entry(
    'warning',
    () =>
      'two classes with scores of their own: ONNX Runtime, and so this, answers the second wherever its score is above 0',
    () => 'export the weights of the second class alone, as other programs do, to compare it with a half',
  ),
  'forest-rounded': entry<{ bits: number }>(
    'warning',
    (a) => `the weights of the leaves span more than ${a.bits} bits: the smallest are rounded`,
  ),
  'forest-no-split': entry<{ count: number }>(
    'note',
    (a) => `${a.count} splits of trees part no integers of the input's grid, and are left out`,
  ),
  'forest-unscored': entry<{ score: number }>(
    'error',
    (a) => `some leaves give score ${a.score} no weight, and which score is the largest hangs on that`,
    () => 'export a weight of each class for every leaf, if it is 0',
  ),
  'forest-missing': entry<{ count: number }>(
    'error',
    (a) => `${a.count} splits have a side for missing values, and a packet's integers are never missing`,
    () => 'say --missing never if no row of yours has a missing value',
  ),
  'forest-mode': entry<{ tree: number; node: number; mode: string }>(
    'error',
    (a) =>
      `node ${a.node} of tree ${a.tree} splits by ${a.mode || 'nothing'}: thresholds alone are supported`,
    () => 'train without categorical features (LightGBM: categorical_feature=[]), or encode them as numbers',
  ),
  'forest-threshold': entry<{ tree: number; node: number; feature: number; threshold: number }>(
    'error',
    (a) =>
      `node ${a.node} of tree ${a.tree} compares feature ${a.feature} with ${a.threshold}, which parts no integers of uint8 or int8`,
    () =>
      'train on features of 8 bits (intransit features makes such), or say with --input-range LO..HI which reals 8 bits are to hold',
  ),
  'softmax-left-out': entry<{ operator: string; count: number; size: number }>(
    'warning',
    (a) =>
      `the ${a.operator} at the end is left out: the output is what it is taken of, ${a.count} elements in rows of ${a.size}`,
    () => 'take it of the answers, or name the tensor before it with --output-tensor',
  ),
  'onnx-interface': entry<{ what: string }>(
    'error',
    (a) => a.what,
    () => 'docs/onnx.md says which inputs and outputs a model may have; a cut names one of several',
  ),
};
