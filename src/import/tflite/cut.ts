import { refuse } from '../../diagnostics/index.ts';
import type { ImportOptions } from '../builder.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from './schema.ts';

/**
 * The part of a model between two tensors: its own input and output, or those that the user names, with the operators on which
 * the output depends.
 *
 * @throws DiagnosticError `onnx-several` if there are several and none is named, `onnx-cut` if none has that name
 */
export function cutTflite(model: TfliteModel, { inputTensor, outputTensor }: ImportOptions): TfliteModel {
  const output = endOf(model, model.outputs, outputTensor, 'outputs');
  const named = inputTensor === undefined ? undefined : endOf(model, model.inputs, inputTensor, 'inputs');
  const { operators, read } = leadingTo(model, output, named);
  // Of several inputs those that this output depends on.
  const input = named ?? endOf(model, used(model.inputs, read), undefined, 'inputs');
  return { ...model, inputs: [input], outputs: [output], operators };
}

const used = (inputs: readonly number[], read: ReadonlySet<number>): readonly number[] => {
  const reached = inputs.filter((input) => read.has(input));
  return reached.length > 0 ? reached : inputs;
};

function endOf(
  { file, tensors, operators, inputs }: TfliteModel,
  own: readonly number[],
  named: string | undefined,
  what: 'inputs' | 'outputs',
): number {
  if (named === undefined) {
    const [only, ...more] = own;
    if (only !== undefined && more.length === 0) return only;
    return refuse('onnx-several', { what, names: own.map((i) => nameOf(tensors[i]!)) }, { file });
  }
  const computed = [...new Set([...inputs, ...operators.flatMap(({ outputs }) => outputs)])];
  const found = computed.find((i) => tensors[i]!.name === named || nameOf(tensors[i]!) === named);
  if (found !== undefined) return found;
  const names = computed.map((i) => nameOf(tensors[i]!));
  const alike = names.filter((name) => name.toLowerCase().includes(named.toLowerCase()));
  const known = (alike.length > 0 ? alike : names).slice(0, 8);
  return refuse(
    'onnx-cut',
    { tensor: named, option: what === 'inputs' ? '--input-tensor' : '--output-tensor', known },
    { file },
  );
}

/** Converters join the names of what they fused with `;`. */
const nameOf = ({ name }: TfliteTensor): string => name.split(';')[0]!;

/** Operators behind `from`, if it is named, on which a tensor depends, in their order. */
function leadingTo(
  { operators }: TfliteModel,
  to: number,
  from: number | undefined,
): { operators: readonly TfliteOperator[]; read: ReadonlySet<number> } {
  const makers = new Map<number, TfliteOperator>();
  for (const operator of operators) for (const made of operator.outputs) makers.set(made, operator);
  const needed = new Set<TfliteOperator>();
  const read = new Set<number>([to]);
  const waiting = [to];
  for (let tensor = waiting.pop(); tensor !== undefined; tensor = waiting.pop()) {
    const maker = tensor === from ? undefined : makers.get(tensor);
    if (maker === undefined || needed.has(maker)) continue;
    needed.add(maker);
    for (const input of maker.inputs) read.add(input);
    waiting.push(...maker.inputs);
  }
  return { operators: operators.filter((operator) => needed.has(operator)), read };
}
