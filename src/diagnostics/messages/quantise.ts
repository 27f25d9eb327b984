import { entry, list } from './entry.ts';

/** Making integers of a float network. */
export const quantiseMessages = {
  'quantise-source': entry<{ reason: string }>(
    'error',
    (a) => `ONNX Runtime cannot run it: ${a.reason}`,
    () => 'see that ONNX Runtime runs it in Python, or export it again',
  ),
  'quantise-already': entry<{ operator: string }>(
    'error',
    (a) => `is quantised already: it has ${a.operator}`,
    () => 'use it as it is: intransit inspect MODEL',
  ),
  'quantise-unsupported': entry<{ what: string }>(
    'error',
    (a) => `cannot be quantised: ${a.what}`,
    () => 'docs/quantise.md says what can',
  ),
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
};
