import { entry } from './entry.ts';

/** Models of JSON, and what is wrong with a model wherever it came from. */
export const modelMessages = {
  'json-syntax': entry<{ reason: string }>(
    'error',
    (a) => `is no JSON: ${a.reason}`,
    () => 'see what stands there: jq . FILE shows it too',
  ),
  'json-field': entry<{ path: string; expected: string; help?: string }>(
    'error',
    (a) => `${a.path}: ${a.expected}`,
    (a) =>
      a.help ?? 'see docs/json-model.md, or let your editor check the file against schema/model.schema.json',
  ),

  'shape-mismatch': entry<{ expected: string; actual: string }>(
    'error',
    (a) => `expects ${a.expected}, but is given ${a.actual}`,
    () => 'the file contradicts itself: export the model again',
  ),
  'bad-quantisation': entry<{ what: string }>(
    'error',
    (a) => a.what,
    () =>
      'quantise the model again: scales are positive and finite, zero points of the type that they are for',
  ),
  'model-invalid': entry<{ what: string }>(
    'error',
    (a) => a.what,
    () => 'mend the file, or export the model again',
  ),
  'float-sums': entry<{ percent: string; wide: boolean }>(
    'warning',
    (a) =>
      `ONNX Runtime sums in float32, where a value near halfway between two outputs may fall to either: about ` +
      `${a.percent} % of this layer's values are one step off, on inputs of the whole range, which layers behind may carry further`,
    (a) =>
      a.wide
        ? 'quantise with activations of 8 bits in the QOperator format, or with scales that are powers of two, whose sums are exact'
        : 'quantise in the QOperator format, or with scales that are powers of two, whose sums are exact',
  ),
  'blocks-rounded': entry<{ percent: string }>(
    'warning',
    (a) =>
      'its weights have scales by blocks of inputs, which one sum cannot hold: they are rounded to one scale an output, ' +
      `and about ${a.percent} % of the values are a step or more off, on inputs of the whole range`,
    () => 'quantise with one scale an output channel, which is exact',
  ),
  'float-sums-rare': entry<{ values: number }>(
    'note',
    (a) =>
      `ONNX Runtime sums in float32, where a value next to halfway between two outputs may fall to either: about one of ` +
      `${Number(a.values.toPrecision(2)).toLocaleString('en')} values is one step off, on inputs of the whole range`,
  ),
  'not-a-number': entry<{ values: number; total: number }>(
    'warning',
    (a) =>
      `the function is undefined (NaN) for ${a.values} of the ${a.total} values that its input can take: they become the least ` +
      'value here, as in ONNX Runtime for most elements',
    () => 'clip the input to where the function is defined',
  ),
  'wide-activation': entry<{ what: string }>(
    'error',
    (a) =>
      `${a.what} of 16-bit activations is not supported: sums, products, pools, clamps and moves of them are`,
    () =>
      'give this operator 8-bit activations: of quantize_static activation_type=QuantType.QUInt8, or TensorQuantOverrides ' +
      'of its tensors; of TFLite OpsSet.TFLITE_BUILTINS_INT8',
  ),
  'too-large': entry<{ what: string; limit: number }>(
    'error',
    (a) => `${a.what}; the limit is ${a.limit} elements`,
    () => 'cut the graph before it (--input-tensor, --output-tensor), or make it smaller',
  ),
  'too-much-work': entry<{ steps: number; limit: number }>(
    'error',
    (a) =>
      `takes ${a.steps.toExponential(1)} multiplies and adds an inference, the limit is ${a.limit.toExponential(1)}`,
    () => 'shrink the window, or the image',
  ),
  'rounding-differs': entry<{ channels: number; of: number; accumulators: number; total: number }>(
    'warning',
    (a) =>
      `the integer requantiser of ${a.channels} of ${a.of} channels differs from the source's rounding, by one ` +
      `step at ${a.accumulators} of ${a.total} possible accumulators`,
  ),
  'accumulator-overflow': entry<{ bits: number; limit: number; channel: number }>(
    'error',
    (a) => `channel ${a.channel} needs a ${a.bits}-bit accumulator, the limit is ${a.limit}`,
    () => 'split the layer over its inputs, or quantise the weights to fewer levels',
  ),
  'unsupported-layer': entry<{ kind: string; target: string; reason: string }>(
    'error',
    (a) => `a ${a.kind} layer does not run on ${a.target}: ${a.reason}`,
    () => 'leave it to another node with --layers A..B',
  ),
  'layer-range': entry<{ given: string; count: number }>(
    'error',
    (a) => `--layers ${a.given} does not name layers of this model, which has 0..${a.count}`,
    (a) => `give the first layer and the one behind the last, such as 0..${a.count}`,
  ),
  'resource-exceeded': entry<{
    resource: string;
    need: number;
    limit: number;
    unit: string;
    target: string;
    help: string;
  }>(
    'error',
    (a) => `needs ${a.need} ${a.unit} of ${a.resource}, ${a.target} has ${a.limit}`,
    (a) => a.help,
  ),
  'mtu-exceeded': entry<{ bytes: number; mtu: number; tensor: 'input' | 'output' }>(
    'warning',
    (a) => `the ${a.tensor} tensor makes a packet of ${a.bytes} bytes, the MTU is ${a.mtu}`,
    (a) =>
      `let the path carry jumbo frames (an MTU of ${a.bytes}), cut the model at a smaller tensor (--layers A..B), or leave ` +
      'the layers to the worker, which takes tensors in fragments',
  ),
  'target-option': entry<{ option: string; target: string; reason: string }>(
    'error',
    (a) => `${a.option} does not go with --target ${a.target}: ${a.reason}`,
    () => 'leave the option out, or take another target',
  ),
  'tables-cut': entry<{ cut: number; reason: string }>(
    'error',
    (a) => `the network cannot be divided before layer ${a.cut}: ${a.reason}`,
    () => 'divide it elsewhere with --layers A..B',
  ),
  approximated: entry<{
    rows: number;
    agreement: number;
    accuracy?: number;
    exactAccuracy?: number;
    heldOut?: { rows: number; agreement: number; accuracy?: number };
    entries: number;
  }>(
    'warning',
    (a) =>
      `the program computes an approximated network, of ${a.entries} entries: on ${(100 * a.agreement).toFixed(1)} % of ` +
      `${a.rows} rows it has the class of the exact one` +
      (a.accuracy === undefined || a.exactAccuracy === undefined
        ? ''
        : `, and is right on ${(100 * a.accuracy).toFixed(1)} % where that is on ${(100 * a.exactAccuracy).toFixed(1)} %`) +
      (a.heldOut === undefined
        ? ''
        : `; on the ${a.heldOut.rows} rows that it was not calibrated on, ${(100 * a.heldOut.agreement).toFixed(1)} %` +
          (a.heldOut.accuracy === undefined ? '' : ` and ${(100 * a.heldOut.accuracy).toFixed(1)} %`)),
  ),
  'tna-unjudged': entry<{ tools: readonly string[] }>(
    'note',
    (a) => `the program is not compiled: ${a.tools.join(' and ')} are not on the PATH`,
    () => 'its stages and blocks are those that are foretold; p4c builds both with -DENABLE_TOFINO=ON',
  ),
  'tna-refused': entry<{ tool: string; said: string }>(
    'error',
    (a) => `${a.tool} refuses the program: ${a.said}`,
    () => 'fewer --levels or --entries, a larger --chip, or fewer layers with --layers A..B',
  ),
  'envelope-exceeded': entry<{ what: string }>(
    'error',
    (a) => `these weights do not fit the program that is loaded: ${a.what}`,
    () => 'compile and load the program for these weights',
  ),
};
