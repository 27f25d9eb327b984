import { elementCount } from '../../model/tensor.ts';
import { elementAt, type ValueBuffer } from './buffers.ts';

/** Bytes that move: from place to place, `levels` of loops around them, outermost first. */
export interface Run {
  readonly source: number;
  readonly target: number;
  readonly levels: readonly Level[];
}

interface Level {
  readonly count: number;
  /** Bytes from one iteration to the next. */
  readonly source: number;
  readonly target: number;
}

/** Where the elements of a value stand, in row-major order. */
export const placesOf = (b: ValueBuffer, shape: readonly number[]): Int32Array =>
  Int32Array.from({ length: elementCount(shape) }, (_, i) => elementAt(b, i));

/**
 * Finds the loops by which bytes move from `sources` to `targets`, in this order: transpositions and views of one layout
 * as another are nests of loops with constant strides. What is none is several such, one after the other.
 */
export function findRuns(sources: Int32Array, targets: Int32Array): Run[] {
  const runs: Run[] = [];
  for (let at = 0; at < sources.length; ) {
    const [s, t] = [sources.subarray(at), targets.subarray(at)];
    const count = s.length === 1 ? 1 : stepsAlike(s, t);
    const nest = count > 1 && count < s.length ? nestOf(s, t, count) : undefined;
    if (nest !== undefined) return [...runs, ...nest];
    runs.push({ source: s[0]!, target: t[0]!, levels: count === 1 ? [] : [innerLevel(s, t, count)] });
    at += count;
  }
  return runs;
}

const innerLevel = (s: Int32Array, t: Int32Array, count: number): Level => ({
  count,
  source: s[1]! - s[0]!,
  target: t[1]! - t[0]!,
});

/** All of it as loops around `count` elements; undefined if the rest does not go on as they do. */
function nestOf(s: Int32Array, t: Int32Array, count: number): Run[] | undefined {
  if (s.length % count !== 0) return undefined;
  for (let at = count; at < s.length; at += count) if (!chunksAlike(s, t, at, count)) return undefined;
  const pick = (places: Int32Array) =>
    Int32Array.from({ length: places.length / count }, (_, i) => places[i * count]!);
  const inner = innerLevel(s, t, count);
  return findRuns(pick(s), pick(t)).map((run) => ({ ...run, levels: [...run.levels, inner] }));
}

/** How many elements from the first on lie at equal distances. */
function stepsAlike(s: Int32Array, t: Int32Array): number {
  let count = 2;
  while (
    count < s.length &&
    s[count]! - s[count - 1]! === s[1]! - s[0]! &&
    t[count]! - t[count - 1]! === t[1]! - t[0]!
  )
    count++;
  return Math.min(count, s.length);
}

function chunksAlike(s: Int32Array, t: Int32Array, at: number, count: number): boolean {
  for (let i = 1; i < count; i++)
    if (s[at + i]! - s[at]! !== s[i]! - s[0]! || t[at + i]! - t[at]! !== t[i]! - t[0]!) return false;
  return true;
}

/** C of the loops. `from` and `to` are pointers to bytes. */
export function emitRuns(runs: readonly Run[], from: string, to: string): string[] {
  return runs.flatMap(({ source, target, levels }) => {
    const place = (base: number, side: 'source' | 'target') =>
      [`${base}`, ...levels.map((level, i) => `i${i} * ${level[side]}`)].join(' + ');
    const loops = levels.flatMap(({ count }, i) => [
      `#pragma clang loop ${i === levels.length - 1 ? 'unroll_count(4)' : 'unroll(disable)'}`,
      `\tfor (int i${i} = 0; i${i} < ${count}; i${i}++)${i === levels.length - 1 ? ' {' : ''}`,
    ]);
    const move = `${to}[${place(target, 'target')}] = ${from}[${place(source, 'source')}];`;
    return levels.length === 0 ? [`\t${move}`] : [...loops, `\t\t${move}`, `\t\t${NO_IDIOM}`, '\t}'];
  });
}

/** Keeps clang from making a call of memset or memcpy out of a loop: BPF has neither. */
export const NO_IDIOM = 'asm volatile("" : : : "memory");';

/** Upper estimate of the instructions walked, and of those in the code. */
export function runInstructions(runs: readonly Run[]): { walked: number; code: number } {
  let walked = 0;
  let code = 0;
  for (const { levels } of runs) {
    walked += 8 * levels.reduce((product, { count }) => product * count, 1) + 6;
    code += 24 + 8 * levels.length;
  }
  return { walked, code };
}
