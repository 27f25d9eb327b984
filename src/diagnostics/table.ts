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
    () => "tensors are raw, row-major, one element after the other in the model's input type",
  ),

  // ONNX
  'onnx-malformed': entry<{ reason: string }>(
    'error',
    (a) => `is no ONNX model: ${a.reason}`,
    () => 'export the model again, or check that the file is whole',
  ),
  'onnx-unsupported-operator': entry<{ operator: string; supported: readonly string[] }>(
    'error',
    (a) => `operator ${a.operator} is not supported`,
    (a) => `supported are ${list(a.supported)}`,
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

  'onnx-external-data': entry(
    'error',
    () => 'keeps its data in another file',
    () => 'save the model with its data inside (onnx.save_model with save_as_external_data=False)',
  ),
  'onnx-interface': entry<{ what: string }>('error', (a) => a.what),

  // TFLite
  'tflite-malformed': entry<{ reason: string }>(
    'error',
    (a) => `is no TFLite model: ${a.reason}`,
    () => 'convert the model again, or check that the file is whole',
  ),
  'tflite-unsupported-operator': entry<{ operator: string; supported: readonly string[] }>(
    'error',
    (a) => `operator ${a.operator} is not supported`,
    (a) => `supported are ${list(a.supported)}`,
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
  'bias-requantised': entry<{ reason: string }>(
    'note',
    (a) => `the bias is rounded to the scale of the accumulator: ${a.reason}`,
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
  'mtu-exceeded': entry<{ bytes: number; mtu: number; tensor: string }>(
    'error',
    (a) => `the ${a.tensor} tensor makes a packet of ${a.bytes} bytes, the MTU is ${a.mtu}`,
    () => 'raise the MTU with --mtu where the path allows it, or end the split at a smaller tensor',
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
} as const;

export type DiagnosticCode = keyof typeof diagnosticTable;
export type DiagnosticArgs<C extends DiagnosticCode> = Parameters<(typeof diagnosticTable)[C]['message']>[0];
