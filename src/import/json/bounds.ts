/**
 * What one document may hold. A schema tells every fault of every element, each of which takes hundreds of bytes: a file of a
 * million wrong ones is refused before that.
 */
const mostOf = {
  /** Objects, lists, texts and whatever else is no number. */
  values: 200_000,
  /** Numbers that are no weights: scales and biases of every channel. */
  numbers: 2 ** 18,
} as const;

/** Lists and objects within each other; weights take eight. */
export const MOST_DEPTH = 64;

/** Lists of these may be long, as each of their numbers is looked at here. */
const WEIGHTS: ReadonlySet<string> = new Set(['weights', 'table']);
const [LEAST_WEIGHT, LARGEST_WEIGHT] = [-128, 255];

/** A number of the file that is out of bounds: where it stands, and what belongs there. */
export interface BoundFault {
  readonly path: readonly PropertyKey[];
  readonly expected: string;
}

/** The first fault of a document by its size, whatever its schema; undefined where it can be compared with that. */
export function boundFault(root: unknown): BoundFault | undefined {
  const counts = { values: 0, numbers: 0 };
  const path: PropertyKey[] = [];
  const fault = (expected: string): BoundFault => ({ path: [...path], expected });
  const leaf = (value: unknown, isWeight: boolean): BoundFault | undefined => {
    if (typeof value !== 'number') return undefined;
    if (!isWeight) counts.numbers++;
    else if (!(Number.isInteger(value) && value >= LEAST_WEIGHT && value <= LARGEST_WEIGHT))
      return fault(`expected integers in ${LEAST_WEIGHT}..${LARGEST_WEIGHT}`);
    return undefined;
  };
  const walk = (value: unknown, isWeight: boolean): BoundFault | undefined => {
    if (typeof value !== 'number') counts.values++;
    if (counts.values > mostOf.values) return fault(`expected at most ${mostOf.values} values in a file`);
    if (counts.numbers > mostOf.numbers)
      return fault(`expected at most ${mostOf.numbers} numbers in a file that are no weights`);
    if (typeof value !== 'object' || value === null) return leaf(value, isWeight);
    const isList = Array.isArray(value);
    for (const key of isList ? value.keys() : Object.keys(value)) {
      path.push(key);
      const found = walk(Reflect.get(value, key), isList ? isWeight : WEIGHTS.has(String(key)));
      if (found !== undefined) return found;
      path.pop();
    }
    return undefined;
  };
  return walk(root, false);
}

const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d]);

/** Whether a text of JSON is nested deeper, found without making anything of it. */
export function isDeeperThan(text: string, most: number): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === BACKSLASH) at++;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) inString = true;
    else if (OPENING.has(code)) {
      if (++depth > most) return true;
    } else if (CLOSING.has(code)) depth--;
  }
  return false;
}

/** Keys, dashes and question marks that begin one another's value on one line, or a line that is set in. */
const NESTED_ON_A_LINE = /^[ \t]*(?:(?:[-?]|[^\s:#'"[\]{}]+:)[ \t]+){65}/m;
const SET_IN = /^ {513}\S/m;

/** The same of YAML, as far as depth costs its reader more than time in proportion. */
export const isYamlDeep = (text: string): boolean =>
  isDeeperThan(text, MOST_DEPTH) || NESTED_ON_A_LINE.test(text) || SET_IN.test(text);
