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
  model: TfliteModel,
  own: readonly number[],
  named: string | undefined,
  what: 'inputs' | 'outputs',
): number {
  const { file, tensors, operators, inputs } = model;
  const several = (those: readonly number[]) =>
    refuse('onnx-several', { what, names: shownNames(those.map((i) => tensors[i]!)) }, { file });
  if (named === undefined) {
    const [only, ...more] = own;
    return only !== undefined && more.length === 0 ? only : several(own);
  }
  const computed = [...new Set([...inputs, ...operators.flatMap(({ outputs }) => outputs)])];
  const whole = computed.find((i) => tensors[i]!.name === named);
  if (whole !== undefined) return whole;
  const [found, ...others] = computed.filter((i) => nameOf(tensors[i]!) === named);
  if (found !== undefined) return others.length === 0 ? found : several([found, ...others]);
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

/** Whole, where what is before the first `;` is not theirs alone. */
function shownNames(tensors: readonly TfliteTensor[]): string[] {
  const isShared = (name: string) => tensors.filter((t) => nameOf(t) === name).length > 1;
  return tensors.map((t) => (isShared(nameOf(t)) ? t.name : nameOf(t)));
}

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
