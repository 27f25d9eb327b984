/**
 * The one table of messages. A code names a fact about the user's input or machine; the message says what is
 * wrong with the numbers at hand, the remedy what would help. Codes are stable: scripts may match on them.
 */

export type Severity = 'error' | 'warning' | 'note';

interface Entry<A> {
  readonly severity: Severity;
  readonly message: (args: A) => string;
  readonly remedy?: (args: A) => string;
}

/** Fixes the argument type of an entry while the table keeps its literal keys. */
const entry = <A = Record<string, never>>(
  severity: Severity,
  message: (args: A) => string,
  remedy?: (args: A) => string,
): Entry<A> => (remedy === undefined ? { severity, message } : { severity, message, remedy });

const list = (items: readonly string[]): string => items.join(', ');

export const diagnosticTable = {
  // Files
  'file-unreadable': entry<{ reason: string }>('error', (a) => `cannot be read: ${a.reason}`),
  'file-too-large': entry<{ kind: string; most: number }>(
    'error',
    (a) => `is larger than the ${a.most} bytes that are read of a file of this kind (${a.kind})`,
    () => 'see whether the right file was named',
  ),
  'file-unwritable': entry<{ reason: string }>('error', (a) => `cannot be written: ${a.reason}`),
  'output-exists': entry(
    'error',
    () => 'is not empty and was not written by intransit',
    () => 'name another directory with -o, or remove it',
  ),
  'unknown-format': entry<{ known: readonly string[] }>(
    'error',
    (a) => `is of no known model format (known: ${list(a.known)})`,
  ),
  'rows-mismatch': entry<{ bytes: number; row: number }>(
    'error',
    (a) => `holds ${a.bytes} bytes, which is not a whole number of rows of ${a.row}`,
    () =>
      "raw tensors are row-major, one element after the other in the model's input type; " +
      'NumPy and CSV files are known by their names, .npy and .csv',
  ),
  'rows-malformed': entry<{ format: string; reason: string }>(
    'error',
    (a) => `cannot be read as ${a.format}: ${a.reason}`,
  ),
  'rows-none': entry(
    'error',
    () => 'holds no rows',
    () => 'give one at least, of as many numbers as the model reads',
  ),
  'rows-shape': entry<{ actual: string; expected: string; width: number }>(
    'error',
    (a) => `has shape (${a.actual}), the model reads rows of (${a.expected})`,
    (a) =>
      a.expected === `${a.width}`
        ? `save the rows as an array of shape (N, ${a.width})`
        : `save the rows as an array of shape (N, ${a.expected}) or (N, ${a.width})`,
  ),
  'rows-width': entry<{ row: number; line: number; cells: number; width: number }>(
    'error',
    (a) => `row ${a.row} (line ${a.line}) has ${a.cells} cells, the model reads ${a.width}`,
    () => 'leave out columns that are no input, such as labels or an index (pandas: index=False)',
  ),
  'rows-cell': entry<{ row: number; column: number; line: number; what: string }>(
    'error',
    (a) => `row ${a.row}, column ${a.column} (line ${a.line}) ${a.what}`,
    () => 'cells are decimal numbers with a point',
  ),
  'rows-value': entry<{ where: string; what: string; whole: boolean }>(
    'error',
    (a) => `${a.where}: ${a.what}`,
    (a) =>
      a.whole
        ? 'whole numbers are taken as the integers of the network; have reals in a float array, or write them with a point (1.0)'
        : 'fill or leave out what is missing',
  ),
  'rows-no-grid': entry<{ element: string }>(
    'error',
    (a) => `holds reals, but the model does not say on which grid its ${a.element} input lies`,
    () => 'give the integers of the network',
  ),
  'rows-clamped': entry<{ clamped: number; of: number; lo: number; hi: number }>(
    'warning',
    (a) =>
      `${a.clamped} of ${a.of} numbers lie outside of the input's range ${a.lo}..${a.hi} and are taken as its ends`,
    () => "give the reals that the network was trained on, or integers of the input's own type",
  ),
  'class-names': entry<{ names: number; classes: number }>(
    'error',
    (a) => `${a.names} class names for ${a.classes} classes`,
  ),

  // ONNX
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
  'onnx-interface': entry<{ what: string }>('error', (a) => a.what),

  // Quantising
  'quantise-source': entry<{ reason: string }>('error', (a) => `ONNX Runtime cannot run it: ${a.reason}`),
  'quantise-already': entry<{ operator: string }>(
    'error',
    (a) => `is quantised already: it has ${a.operator}`,
    () => 'use it as it is: intransit inspect MODEL',
  ),
  'quantise-unsupported': entry<{ what: string }>('error', (a) => `cannot be quantised: ${a.what}`),
  'quantise-operators': entry<{ operators: readonly string[] }>(
    'error',
    (a) => `has operators that cannot be quantised here: ${list(a.operators)}`,
    () => 'docs/quantise.md lists those that can; weights and axes must be constants of the file',
  ),
  'quantise-rows': entry<{ what: string }>(
    'error',
    (a) => `cannot be calibrated on: ${a.what}`,
    () => 'give rows as they come in use, some hundred at least',
  ),
  'quantise-labels': entry<{ labels: number; rows: number }>(
    'error',
    (a) => `holds ${a.labels} labels, but there are ${a.rows} rows`,
    () => 'give one label a row, in the same order',
  ),
  'quantise-label': entry<{ where: string; value: string; classes: number | undefined }>(
    'error',
    (a) =>
      a.classes === undefined
        ? `${a.where}: ${a.value} is no class: those are whole numbers from 0 on`
        : `${a.where}: ${a.value} is no class; the network tells 0..${a.classes - 1} apart`,
    () => 'number classes as the outputs of the network are, from 0 on',
  ),
  'quantise-one-class': entry<{ class: number; rows: number; classes: number }>(
    'error',
    (a) => `all ${a.rows} rows are of class ${a.class}; expected rows of several of the ${a.classes} classes`,
    () => 'calibrate on rows of all classes, as they come in use',
  ),
  'quantise-cut': entry<{ operators: readonly string[]; output: string }>(
    'note',
    (a) => `the end (${list(a.operators)}) is left out: the answers are those of ${a.output}`,
  ),

  // TFLite
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
  'tflite-option': entry<{ option: string; value: string; supported: string }>(
    'error',
    (a) => `option ${a.option} = ${a.value} is not supported (supported: ${a.supported})`,
  ),
  'tflite-interface': entry<{ what: string }>('error', (a) => a.what),
  'softmax-as-argmax': entry(
    'note',
    () => 'the softmax at the end becomes a verdict: the class it would favour and the margin before it',
  ),

  // Features of flows
  'features-unknown': entry<{ name: string; known: readonly string[] }>(
    'error',
    (a) => `there is no file and no ready-made definition ${a.name}`,
    (a) => `ready-made are ${list(a.known)}; docs/features.md tells how to write one`,
  ),
  'features-syntax': entry<{ reason: string }>(
    'error',
    (a) => `is neither YAML nor JSON: ${a.reason}`,
    () => 'in a line with braces an expression with a comma or a colon wants quotes',
  ),
  'features-twice': entry<{ name: string; line: number; column: number }>(
    'error',
    (a) => `line ${a.line}, column ${a.column}: ${a.name} is there twice; a name stands for one thing`,
    () => 'leave one out, or give it another name',
  ),
  'features-field': entry<{ path: string; what: string }>(
    'error',
    (a) => `${a.path}: ${a.what}`,
    () => 'see docs/features.md, or let your editor check the file against schema/features.schema.json',
  ),

  'actions-field': entry<{ path: string; what: string }>(
    'error',
    (a) => `${a.path}: ${a.what}`,
    () => 'see docs/classify.md, or let your editor check the file against schema/actions.schema.json',
  ),
  'actions-target': entry<{ target: string | number; what: string }>(
    'error',
    (a) => `${a.target} is ${a.what}`,
    () => '--live sends to interfaces, named as `ip link` does; --device to ports, by their numbers',
  ),
  'flow-device': entry<{ address: string; reason: string }>(
    'error',
    (a) => `the device at ${a.address} does not do it: ${a.reason}`,
    () => 'see that it runs, that --on says what it is, and that nobody else is its primary',
  ),

  'labels-malformed': entry<{ what: string }>(
    'error',
    (a) => a.what,
    () =>
      'a label is a row of client_ip, client_port, server_ip, server_port, transport and class; pcap names its capture',
  ),
  'labels-unused': entry<{ unused: number; flows: number; line: number }>(
    'warning',
    (a) => `${a.unused} of ${a.flows} labels name no flow of these captures, first that of line ${a.line}`,
  ),
  'labels-none': entry<{ flows: number }>(
    'error',
    (a) => `none of its ${a.flows} labels names a flow of these captures`,
    () => 'compare addresses and ports, and the column pcap, with the captures',
  ),
  'flow-width': entry<{ inputs: number; features: readonly string[]; definition: string }>(
    'error',
    (a) =>
      `reads ${a.inputs} inputs, and the definition ${a.definition} has ${a.features.length} features: ${list(a.features)}`,
    () => 'a model reads the features of the definition that it was trained on, in their order',
  ),
  'flow-target': entry<{ target: string; what: string; why: string }>(
    'error',
    (a) => `${a.what} cannot run on ${a.target}: ${a.why}`,
    () => 'classify on the reference (--on reference), or change the definition',
  ),
  'flow-no-target': entry<{ target: string; known: readonly string[] }>(
    'error',
    (a) => `no program of flows can be made for ${a.target}`,
    (a) => `programs of flows are made for ${list(a.known)}`,
  ),
  'flow-state': entry<{ target: string; bytes: number; most: number }>(
    'error',
    (a) => `a flow keeps ${a.bytes} bytes, and ${a.target} has room for ${a.most}`,
    () => 'keep fewer numbers, or narrower ones (bits)',
  ),
  'flow-classes': entry<{ classes: number; names: readonly string[] }>(
    'error',
    (a) => `tells ${a.classes} classes apart, and the labels name ${a.names.length}: ${list(a.names)}`,
    () => 'give the names of all its classes in the order of their numbers: --class-names web,video,...',
  ),
  'flow-classes-guessed': entry<{ names: readonly string[] }>(
    'warning',
    (a) => `has no names for its classes; the labels' are taken in alphabetical order: ${list(a.names)}`,
    () => '--class-names says them in the order of their numbers',
  ),
  'capture-malformed': entry<{ reason: string }>(
    'error',
    (a) => a.reason,
    () => 'captures are pcap or pcapng files, as tcpdump and Wireshark write them',
  ),
  'capture-cut': entry('warning', () => 'ends within a frame; those before it are used'),
  'capture-link': entry<{ links: readonly string[]; frames: number }>(
    'error',
    (a) => `${a.frames} frames are of link type ${list(a.links)}, which is not understood`,
    () => 'understood are Ethernet, raw IP, BSD loopback and Linux cooked captures',
  ),
  'capture-empty': entry<Record<string, never>>(
    'error',
    () => 'has no whole frame: expected at least one',
    () => 'capture longer, and see that the file was closed before it was copied',
  ),
  'capture-no-rows': entry<{ frames: number; outcomes: string }>(
    'error',
    (a) => `the definition classifies none of the ${a.frames} frames (${a.outcomes})`,
    () => 'see accept and classify of the definition',
  ),

  // JSON
  'json-syntax': entry<{ reason: string }>('error', (a) => `is no JSON: ${a.reason}`),
  'json-field': entry<{ path: string; expected: string; help?: string }>(
    'error',
    (a) => `${a.path}: ${a.expected}`,
    (a) =>
      a.help ?? 'see docs/json-model.md, or let your editor check the file against schema/model.schema.json',
  ),

  // Model
  'shape-mismatch': entry<{ expected: string; actual: string }>(
    'error',
    (a) => `expects ${a.expected}, but is given ${a.actual}`,
  ),
  'bad-quantisation': entry<{ what: string }>('error', (a) => a.what),
  'model-invalid': entry<{ what: string }>('error', (a) => a.what),
  'float-sums': entry<{ percent: string }>(
    'warning',
    (a) =>
      `ONNX Runtime sums in float32, where a value near halfway between two outputs may fall to either: about ` +
      `${a.percent} % of the values are one step off, on inputs of the whole range`,
    () => 'quantise in the QOperator format, or with scales that are powers of two, whose sums are exact',
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
  'lane-overflow': entry<{ bits: number; limit: number; channel: number }>(
    'error',
    (a) => `channel ${a.channel} needs a lane of ${a.bits} bits, ${a.limit} are there`,
    () => 'compile with fewer lanes, or with --lanes off',
  ),
  'unsupported-layer': entry<{ kind: string; target: string; reason: string }>(
    'error',
    (a) => `a ${a.kind} layer does not run on ${a.target}: ${a.reason}`,
    () => 'leave it to another node with --layers A..B',
  ),
  'layer-range': entry<{ given: string; count: number }>(
    'error',
    (a) => `--layers ${a.given} does not name layers of this model, which has 0..${a.count}`,
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

  // Machine
  'needs-root': entry<{ what: string }>(
    'error',
    (a) => `${a.what} needs root`,
    () => 'run the command as root, or with sudo',
  ),
  'missing-tool': entry<{ tool: string; install: string }>(
    'error',
    (a) => `${a.tool} is not on the PATH`,
    (a) => a.install,
  ),
  'missing-feature': entry<{ feature: string; reason: string }>(
    'error',
    (a) => `this kernel lacks ${a.feature}: ${a.reason}`,
  ),
  'tool-failed': entry<{ tool: string; summary: string }>(
    'error',
    (a) => `${a.tool} failed: ${a.summary}`,
    () => 'run with --verbose for the whole log',
  ),
  bpf: entry<{ reason: string; remedy: string }>(
    'error',
    (a) => a.reason,
    (a) => a.remedy,
  ),
  agent: entry<{ reason: string; remedy: string }>(
    'error',
    (a) => a.reason,
    (a) => a.remedy,
  ),
  'not-computed': entry<{ row: number; counters: string }>(
    'error',
    (a) => `the device passed row ${a.row} on untouched (its counters: ${a.counters})`,
  ),
  'switch-failed': entry<{ summary: string }>(
    'error',
    (a) => `the switch failed: ${a.summary}`,
    () => 'run with --verbose for the log of the switch',
  ),

  // Plans
  'plan-impossible': entry<{ constraint: string; message: string; lifting: 'alone' | 'together' }>(
    'error',
    (a) => `no plan exists: ${a.message} (${a.constraint})`,
    (a) =>
      a.lifting === 'alone'
        ? 'without this constraint there would be a plan'
        : 'this and the other constraints named would have to go together',
  ),
  'plan-not-found': entry(
    'error',
    () => 'the search was given up before it found a plan; there may be one',
    () => 'allow fewer nodes, or give those that are short of memory or layers more',
  ),

  // Packets: edge and worker
  'no-verdict': entry<{ outputs: number; limit: number }>(
    'error',
    (a) => `has ${a.outputs} outputs; a verdict tells at most ${a.limit} classes apart`,
  ),
  'layer-cut': entry<{ at: number; reader: string }>(
    'error',
    (a) => `the model cannot be cut before layer ${a.at}: layer "${a.reader}" reads a tensor from before it`,
    () => 'a packet carries one tensor: cut before or behind the residual connection',
  ),
  'too-many-fragments': entry<{ bytes: number; fragments: number; limit: number; mtu: number }>(
    'error',
    (a) =>
      `a tensor of ${a.bytes} bytes makes ${a.fragments} packets at an MTU of ${a.mtu}; at most ${a.limit} can be told apart`,
    () => 'raise --mtu where the path allows it, or split the model at a smaller tensor',
  ),
  'host-unknown': entry<{ host: string; reason: string }>(
    'error',
    (a) => `${a.host} has no IPv4 address: ${a.reason}`,
  ),
  'send-failed': entry<{ to: string; reason: string; refused: boolean }>(
    'error',
    (a) => `nothing can be sent to ${a.to}: ${a.reason}`,
    (a) =>
      a.refused
        ? 'start `intransit worker` there, or name another address with --to'
        : 'see whether there is a route: ip route get',
  ),
  'rows-lost': entry<{
    which: string;
    lost: number;
    of: number;
    why: string;
    done: string;
    silent: boolean;
  }>(
    'error',
    (a) => `${a.lost} of ${a.of} rows have no answer (${a.why}): ${a.which}; ${a.done}`,
    (a) =>
      a.silent
        ? 'see whether a worker listens at the end of the path, allow more with --retries and --timeout, or send slower with --rate'
        : 'the worker holds another model: compare --model-id, --model-version, --verdict and --zone with its own',
  ),
  'answers-differ': entry<{ count: number }>(
    'warning',
    (a) => `${a.count} duplicate answers say something else than the first, which was taken`,
    () =>
      'two nodes on the path answer by different weights, or one of them wrongly: see the versions with --json',
  ),
  'listen-failed': entry<{ address: string; reason: string }>(
    'error',
    (a) => `cannot listen on ${a.address}: ${a.reason}`,
    () => 'name another address with --listen, or end the process that has this one',
  ),
  'missing-package': entry<{ name: string; reason: string; instead: string }>(
    'error',
    (a) => `the package ${a.name} cannot be loaded: ${a.reason}`,
    (a) => `npm install ${a.name}, or ${a.instead}`,
  ),
  'no-onnx-graph': entry(
    'error',
    () => 'is no ONNX model, so ONNX Runtime cannot run it',
    () => 'use --on reference or --on auto',
  ),
  'worker-on-reference': entry<{ from: number; reason: string }>(
    'note',
    (a) => `layers from ${a.from} on run in the reference interpreter: ${a.reason}`,
  ),
  'worker-differs': entry<{ from: number; mismatches: number; elements: number }>(
    'warning',
    (a) =>
      `ONNX Runtime gives ${a.mismatches} of ${a.elements} elements otherwise than the reference from layer ${a.from} on`,
    () => 'use --on reference, or --on auto, which does so by itself',
  ),
  'worker-engine': entry<{ rows: number; reason: string }>(
    'error',
    (a) => `a run of ${a.rows} rows failed, and they were refused: ${a.reason}`,
    () => 'the statistics count further failures; use --on reference if the engine cannot run this model',
  ),
  upstream: entry<{ model: string; what: string }>(
    'error',
    (a) => `model ${a.model} of the server does not do as the end of this path: ${a.what}`,
    () =>
      'see /v2/models/NAME of the server; --upstream-model, --upstream-version and --upstream-from say what is meant',
  ),
  'upstream-differs': entry<{ model: string; mismatches: number; elements: number }>(
    'warning',
    (a) =>
      `model ${a.model} of the server gives ${a.mismatches} of ${a.elements} elements otherwise than the model file`,
    () => 'that is as it should be of a float or a larger model; otherwise see which model the server has',
  ),
  'large-model': entry<{ what: string }>('error', (a) => `does not do as the large model: ${a.what}`),

  // Deployments
  'state-damaged': entry(
    'error',
    () => 'is not as it was written',
    () => 'remove it: what devices hold is read from them, only --rollback forgets what was before',
  ),
  'deploy-locked': entry<{ pid: string }>(
    'error',
    (a) => `process ${a.pid} is at work on this deployment`,
    () => 'wait until it has ended',
  ),
  'device-unreachable': entry<{ device: string; address: string; reason: string }>(
    'error',
    (a) => `device ${a.device} does not answer at ${a.address}: ${a.reason}`,
    () => 'check the address, and that the switch or the agent runs and listens there',
  ),
  'device-tls': entry<{ device: string; address: string; reason: string }>(
    'error',
    (a) => `device ${a.device} at ${a.address} refuses the encrypted connection: ${a.reason}`,
    () => 'check ca, cert, key and serverName of the device, and whether it speaks TLS at all',
  ),
  'device-id': entry<{ device: string; address: string; id: number; reason: string }>(
    'error',
    (a) => `there is no device ${a.id} at ${a.address}, where ${a.device} should be: ${a.reason}`,
    () => 'set deviceId to the id that the device was started with',
  ),
  'device-not-primary': entry<{ device: string; own: string; reason: string }>(
    'error',
    (a) => `another controller has device ${a.device}; the election id here is ${a.own}: ${a.reason}`,
    () => 'end the other controller, or take over with a higher --election-id',
  ),
  'device-failed': entry<{ device: string; step: string; reason: string; remedy: string }>(
    'error',
    (a) => `device ${a.device} failed at "${a.step}": ${a.reason}`,
    (a) => a.remedy,
  ),
  'device-kept-other': entry<{ device: string; step: string; what: string }>(
    'error',
    (a) => `device ${a.device} confirmed "${a.step}" and holds something else: ${a.what}`,
    () => 'see whether another controller writes to it; then deploy again',
  ),
  'device-program': entry<{ device: string; cookie: string }>(
    'error',
    (a) => `device ${a.device} runs another program (cookie ${a.cookie}) than this deployment's`,
    () => 'deploy with --replace-program to push it; until that is done the device drops packets',
  ),
  'version-misfit': entry<{ device: string; version: number; what: string }>(
    'error',
    (a) => `version ${a.version} does not fit the program that device ${a.device} runs: ${a.what}`,
    () => 'deploy with --replace-program to push one that does; until that is done the device drops packets',
  ),
  'version-taken': entry<{ device: string; version: number }>(
    'error',
    (a) => `device ${a.device} holds version ${a.version} with other weights`,
    () => 'give these weights a version of their own: packets tell weights apart by it',
  ),
  job: entry<{ job: string; reason: string; remedy: string }>(
    'error',
    (a) => `Job/${a.job} cannot be handed over: ${a.reason}`,
    (a) => a.remedy,
  ),
  registration: entry<{ node: string; reason: string; remedy: string }>(
    'error',
    (a) => `${a.node} cannot be registered: ${a.reason}`,
    (a) => a.remedy,
  ),
  'worker-unreachable': entry<{ worker: string; address: string; reason: string }>(
    'error',
    (a) => `worker ${a.worker} does not answer at ${a.address}: ${a.reason}`,
    () => 'check the address, and that the worker runs with --control there',
  ),
  'worker-failed': entry<{ worker: string; address: string; reason: string }>(
    'error',
    (a) => `worker ${a.worker} at ${a.address} refuses: ${a.reason}`,
    () =>
      'see what the worker says; its control door may want another certificate, or it is of another release',
  ),
  'no-previous': entry<{ reason: string }>(
    'error',
    (a) => `there is no version to go back to: ${a.reason}`,
    () => 'deploy the version that you want, with its model file',
  ),
  'layers-left': entry<{ layers: string }>(
    'warning',
    (a) => `no device computes ${a.layers}: they are left to a worker`,
  ),
  'layers-unreached': entry<{ device: string; from: number }>(
    'warning',
    (a) => `device ${a.device} begins at layer ${a.from}, to which no other device of this file computes`,
    () => 'it computes only what somebody else brought to that layer',
  ),

  // Manifests of the controller
  'manifest-syntax': entry<{ reason: string }>(
    'error',
    (a) => `is neither YAML nor JSON: ${a.reason}`,
    () => 'documents of YAML are separated by a line ---; docs/controller.md has examples',
  ),
  'manifest-empty': entry(
    'error',
    () => 'holds no document',
    () => 'docs/controller.md has examples',
  ),
  'manifest-field': entry<{ expected: string }>(
    'error',
    (a) => a.expected,
    () => 'see docs/controller.md, or let your editor check the file against schema/manifests.schema.json',
  ),
  'manifest-kind': entry<{ kind: string; known: readonly string[]; near: readonly string[] }>(
    'error',
    (a) => `there is no kind ${a.kind}`,
    (a) => (a.near.length > 0 ? `is ${a.near.join(' or ')} meant?` : `kinds are ${list(a.known)}`),
  ),
  'manifest-derived': entry<{ object: string; kind: string }>(
    'error',
    (a) => `${a.object} is not yours to write: a ${a.kind} is made by the controller`,
    () => 'change the service that it belongs to',
  ),
  'manifest-twice': entry<{ object: string; first: number }>(
    'error',
    (a) => `${a.object} is here twice, first in document ${a.first}`,
    () => 'leave one of them out',
  ),
  'manifest-reference': entry<{ kind: string; name: string; near: readonly string[] }>(
    'error',
    (a) => `there is no ${a.kind} ${a.name}`,
    (a) => (a.near.length > 0 ? `is ${a.near.join(' or ')} meant?` : 'apply it before, or in the same file'),
  ),
  'manifest-cycle': entry<{ names: readonly string[] }>(
    'error',
    (a) => `these refer to each other in a circle: ${a.names.join(' -> ')}`,
    () => 'leave out one of the references',
  ),
  'manifest-claimed': entry<{ what: string; other: string }>(
    'error',
    (a) => `${a.what} is claimed by ${a.other} already`,
    (a) => `choose another, or delete ${a.other} first`,
  ),
  'manifest-version': entry<{ model: string; version: number; known: readonly number[] }>(
    'error',
    (a) => `Model/${a.model} has no version ${a.version}`,
    (a) =>
      a.known.length === 0
        ? 'apply a ModelVersion of it before, or in the same file'
        : `there are ${list(a.known.map(String))}; apply a ModelVersion for another`,
  ),
  'manifest-immutable': entry<{ field: string; from: string; to: string }>(
    'error',
    (a) => `${a.field} cannot become ${a.to}: it is ${a.from} for good`,
    () => 'give what is new a name of its own, and delete this one when nothing refers to it',
  ),
  'object-conflict': entry<{ object: string; given: string; current: string }>(
    'error',
    (a) => `${a.object} is at resourceVersion ${a.current}, what is given is a change of ${a.given}`,
    () =>
      'get it anew, make the change there and apply that; or leave resourceVersion out to change what is there',
  ),
  'object-unknown': entry<{ object: string; near: readonly string[] }>(
    'error',
    (a) => `there is no ${a.object}`,
    (a) =>
      a.near.length > 0 ? `is ${a.near.join(' or ')} meant?` : 'intransit get KIND lists what there is',
  ),
  'object-referenced': entry<{ object: string; by: readonly string[] }>(
    'error',
    (a) => `${a.object} is referred to by ${list(a.by)}`,
    () => 'delete or change those first, or delete all of them in one command',
  ),
  'service-unsatisfiable': entry<{ reason: string; remedy?: string | undefined }>(
    'error',
    (a) => `no placement satisfies it: ${a.reason}`,
    (a) => a.remedy ?? 'loosen that constraint, or add nodes that meet it',
  ),

  // The controller and its store
  controller: entry<{ reason: string; remedy: string }>(
    'error',
    (a) => a.reason,
    (a) => a.remedy,
  ),
  'controller-unreachable': entry<{ address: string; reason: string }>(
    'error',
    (a) => `no controller answers at ${a.address}: ${a.reason}`,
    () => 'start it with intransit controller, or say where it is with --controller or INTRANSIT_CONTROLLER',
  ),
  'controller-refused': entry<{ message: string; remedy: string }>(
    'error',
    (a) => a.message,
    (a) => a.remedy,
  ),
  store: entry<{ store: string; reason: string; remedy?: string | undefined }>(
    'error',
    (a) => `store ${a.store}: ${a.reason}`,
    (a) => a.remedy ?? 'name another with --store, or see to that one',
  ),
} as const;

export type DiagnosticCode = keyof typeof diagnosticTable;
export type DiagnosticArgs<C extends DiagnosticCode> = Parameters<(typeof diagnosticTable)[C]['message']>[0];
