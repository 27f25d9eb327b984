import type { Argv } from 'yargs';
import { refuse } from '../diagnostics/index.ts';
import { readText } from '../files.ts';
import { classCount, largestAt } from '../model/classes.ts';
import { type Model, valueType } from '../model/model.ts';
import { decodeElements, elementCount } from '../model/tensor.ts';
import { isVerdict } from '../model/verdict.ts';
import { readRowsBefore, STANDARD } from '../rows/index.ts';
import { type Io, printDiagnostics, table } from './io.ts';
import { type ArgumentsOf, rowsOption, textOption } from './options.ts';
import { UsageError } from './usage.ts';

/** How files of rows are named, for the help. */
export const ROWS = 'raw, or .npy or .csv by the name; - for standard input';

/**
 * Reads rows of what a model's layer reads, by the file's name, and prints what is to be said of them.
 * @param from the layer; the first if absent
 * @throws DiagnosticError
 */
export function inputRows(
  io: Io,
  model: Model,
  file: string,
  o: { limit?: number | undefined; from?: number } = {},
): Uint8Array {
  const from = Math.min(o.from ?? 0, model.layers.length);
  const { bytes, diagnostics } = readRowsBefore(model, from, file, o.limit);
  printDiagnostics(io, diagnostics);
  return bytes;
}

/** How the classes of a model are called, where its file does not say. */
export const classOptions = <T>(y: Argv<T>) =>
  y
    .option('class-names', textOption('Names of the classes, separated by commas'))
    .option('labels-file', textOption('File with the names of the classes, one a line'));

/** Which rows of the model's input are taken. */
export const rowOptions = <T>(y: Argv<T>) =>
  y
    .option('input', {
      type: 'string',
      demandOption: true,
      describe: `Rows of the input: ${ROWS}`,
      requiresArg: true,
    })
    .option('rows', rowsOption());

/** Where answers to rows go, and how their classes are called. */
export const answerOptions = <T>(y: Argv<T>, what: string) =>
  classOptions(rowOptions(y)).option(
    'output',
    textOption(`File for the ${what}: raw, or .npy or .csv by its name; without it they are shown`),
  );

/** @throws UsageError where rows and the JSON document would both go to standard output */
export function checkOutput({
  json,
  output,
}: {
  readonly json: boolean;
  readonly output?: string | undefined;
}) {
  if (json && output === STANDARD)
    throw new UsageError('--output -: standard output takes the JSON document or the rows, not both');
}

/** Names from the arguments, else from the model. @throws DiagnosticError if there are not as many as classes */
export function namesOf(model: Model, a: ArgumentsOf<typeof classOptions>): readonly string[] | undefined {
  if (a.classNames !== undefined && a.labelsFile !== undefined)
    throw new UsageError('--class-names and --labels-file: name the classes one way');
  const given = a.classNames?.split(',') ?? (a.labelsFile === undefined ? undefined : lines(a.labelsFile));
  if (given === undefined) return model.classes;
  const classes = classCount(model);
  if (given.length !== classes)
    refuse('class-names', { names: given.length, classes }, { file: a.labelsFile ?? model.file });
  return given.map((name) => name.trim());
}

const lines = (file: string): string[] => {
  const all = readText(file).split(/\r?\n/);
  while (all.length > 0 && all.at(-1)!.trim() === '') all.pop();
  return all;
};

/** Answers of some layer of a model, for people and programs. */
export interface Answers {
  readonly model: Model;
  /** The layer before which the answers stand. */
  readonly to: number;
  readonly bytes: Uint8Array;
  readonly names?: readonly string[] | undefined;
}

interface Answer {
  readonly values: readonly number[];
  readonly class?: number;
  readonly margin?: number;
}

/** Most outputs of a row that are worth a look at which is the largest. */
const MOST_SCORES = 256;

function answersOf({ model, to, bytes }: Answers): Answer[] {
  const type = valueType(model, to);
  const width = elementCount(type.shape);
  const all = decodeElements(type.element, bytes);
  const isEnd = to === model.layers.length;
  const verdict = isVerdict(model.layers[to - 1]);
  const scores = isEnd && type.shape.length === 1 && width > 1 && width <= MOST_SCORES;
  return Array.from({ length: all.length / width }, (_, row) => {
    const values = Array.from(all.subarray(row * width, (row + 1) * width));
    if (verdict) return { values, class: values[0]!, margin: values[1]! };
    return scores ? { values, class: largestAt(values) } : { values };
  });
}

/** One document: every row's elements, its class, and the names of the classes. */
export function answersJson(a: Answers) {
  const { element, shape, scale, zeroPoint } = valueType(a.model, a.to);
  const answers = answersOf(a);
  const column = <K extends 'class' | 'margin'>(key: K) =>
    answers[0]?.[key] === undefined ? undefined : answers.map((answer) => answer[key]!);
  const classes = column('class');
  return {
    rows: answers.length,
    output: { element, shape, scale, zeroPoint },
    outputs: answers.map(({ values }) => values),
    ...(classes && { classes, margins: column('margin') }),
    ...(classes && a.names && { names: classes.map((index) => a.names![index]) }),
  };
}

/** Rows and elements of a row that a table shows. */
const MOST_ROWS = 20;
const MOST_COLUMNS = 16;

/** The first rows as a table; the rest is told by its number. */
export function answersTable(a: Answers): string {
  const answers = answersOf(a);
  const shown = answers.slice(0, MOST_ROWS);
  const hasClass = shown[0]?.class !== undefined;
  const hasMargin = shown[0]?.margin !== undefined;
  const width = shown[0]?.values.length ?? 0;
  const cells = (values: readonly (string | number)[]) =>
    hasMargin ? [] : [...values.slice(0, MOST_COLUMNS), ...(width > MOST_COLUMNS ? ['...'] : [])];
  const head = [
    'row',
    ...(hasClass ? ['class'] : []),
    ...(hasClass && a.names ? ['name'] : []),
    ...(hasMargin ? ['margin'] : []),
    ...cells(Array.from({ length: width }, (_, i) => `[${i}]`)),
  ];
  const body = shown.map(({ values, class: index, margin }, row) => [
    row,
    ...(index === undefined ? [] : [index]),
    ...(index !== undefined && a.names ? [a.names[index]!] : []),
    ...(margin === undefined ? [] : [margin]),
    ...cells(values),
  ]);
  const more = answers.length - shown.length;
  return `${table([head, ...body])}${more > 0 ? `... and ${more} rows more; --output FILE writes all\n` : ''}`;
}
