import type { z } from 'zod';
import { type Diagnostic, DiagnosticError, diagnostic, refuse } from '../../diagnostics/index.ts';
import { boundFault, isDeeperThan, MOST_DEPTH } from './bounds.ts';
import { type JsonModel, modelSchema } from './schema.ts';

/** Characters of a file at most: as weights in base64 more than any program can hold. */
const MOST_CHARACTERS = 2 ** 25;

/**
 * @throws DiagnosticError `json-syntax`, which says where, and quotes nothing: the file may be one that was not meant; `json-field`
 *   where it holds more than any file of ours
 */
export function parseJson(text: string, file: string): unknown {
  if (text.length > MOST_CHARACTERS)
    refuse('json-syntax', { reason: `it has more than ${MOST_CHARACTERS} characters` }, { file });
  if (isDeeperThan(text, MOST_DEPTH))
    refuse('json-syntax', { reason: `it is nested deeper than ${MOST_DEPTH} levels` }, { file });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return refuse('json-syntax', { reason: placeOf((error as Error).message, text) }, { file });
  }
  const fault = boundFault(value);
  if (fault !== undefined)
    refuse(
      'json-field',
      { path: pathText(fault.path), expected: fault.expected, help: 'see whether the right file was named' },
      { file },
    );
  return value;
}

/** Line and column of a fault. */
function placeOf(message: string, text: string): string {
  if (TOO_SHORT.test(message)) return 'it ends too early';
  const named = /at position (\d+)/.exec(message)?.[1];
  const position = named === undefined ? faultAt(text) : Number(named);
  if (position >= text.length) return 'it ends too early';
  let [line, start] = [1, 0];
  for (let at = text.indexOf('\n'); at >= 0 && at < position; at = text.indexOf('\n', start)) {
    line++;
    start = at + 1;
  }
  return `it goes wrong at line ${line}, column ${position - start + 1}`;
}

/** Messages of a text that is right as far as it goes. */
const TOO_SHORT = /end of JSON|Unterminated string/;

function isBeginning(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    const { message } = error as Error;
    return TOO_SHORT.test(message) || Number(/at position (\d+)/.exec(message)?.[1]) >= text.length;
  }
}

/** Where no JSON goes on: not all messages say so, but every shorter beginning is right and every longer one is wrong. */
function faultAt(text: string): number {
  let [right, wrong] = [0, text.length + 1];
  while (wrong - right > 1) {
    const middle = (right + wrong) >> 1;
    if (isBeginning(text.slice(0, middle))) right = middle;
    else wrong = middle;
  }
  return right;
}

/** Faults told at most: past these the rest is noise of the same cause. */
export const MOST_FAULTS = 20;

/** Text to a validated model file. @throws DiagnosticError `json-syntax`, or `json-field` for each wrong field */
export function parseJsonModel(text: string, file: string): JsonModel {
  const value = parseJson(text, file);
  const result = modelSchema.safeParse(value);
  if (result.success) return result.data;
  throw new DiagnosticError(
    result.error.issues.slice(0, MOST_FAULTS).map((issue) => fieldFault(issue, value, file)),
  );
}

function fieldFault(issue: z.core.$ZodIssue, root: unknown, file: string): Diagnostic {
  const layer = layerName(issue.path, root);
  return diagnostic(
    'json-field',
    { path: pathText(issue.path), expected: expectation(issue) },
    { file, ...(layer !== undefined && { layer }) },
  );
}

/** `layers[2].weights[0]`; the document itself is `$`. */
export function pathText(path: readonly PropertyKey[]): string {
  const text = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return text === '' ? '$' : text.replace(/^\./, '');
}

/** What zod says, in the words of the other messages. */
export function expectation(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return `there is no field ${issue.keys.join(', ')} here`;
  return issue.message.replace(/^Invalid input: /, '').replace(/^Too (big|small): /, '');
}

/** A field that is not as it should be, in any file of ours that is JSON. */
export const jsonFault = (
  file: string,
  path: readonly PropertyKey[],
  expected: string,
  help: string,
): Diagnostic => diagnostic('json-field', { path: pathText(path), expected, help }, { file });

/** The name that the file gives the layer at fault. */
function layerName([first, index]: readonly PropertyKey[], root: unknown): string | undefined {
  if (first !== 'layers' || typeof index !== 'number') return undefined;
  const layers = property(root, 'layers');
  const name = Array.isArray(layers) ? property(layers[index], 'name') : undefined;
  return typeof name === 'string' ? name : `layer${index}`;
}

const property = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
