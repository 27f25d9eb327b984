import { largestAt } from '../model/classes.ts';

/** How answers compare with those of the float network, and with the truth where there are labels. */
export interface Score {
  /** Share of rows whose class is the label. */
  readonly accuracy?: number;
  /** Root of the mean squared difference from the float network's outputs, in units of their standard deviation. */
  readonly error: number;
  /** Share of rows whose class is that of the float network; of networks with more than one output. */
  readonly agreement?: number;
}

/** What answers are compared with. */
export interface Truth {
  /** Outputs of the float network, row after row. */
  readonly outputs: Float32Array;
  readonly width: number;
  readonly labels?: readonly number[] | undefined;
  /** Output from which on a network of one output says yes. */
  readonly threshold: number;
}

/** Class of each row: the largest output, or of one output on which side of the threshold it lies. */
export function classesOf(
  outputs: Float32Array,
  { width, threshold }: Pick<Truth, 'width' | 'threshold'>,
): number[] {
  return Array.from({ length: outputs.length / width }, (_, row) =>
    width === 1
      ? Number(outputs[row]! > threshold)
      : largestAt(outputs.subarray(row * width, (row + 1) * width)),
  );
}

const share = (a: readonly number[], b: readonly number[]): number =>
  a.filter((value, i) => value === b[i]).length / a.length;

/** `outputs` may be those of the first rows alone: only these are compared. */
export function scoreOf(outputs: Float32Array, truth: Truth): Score {
  const classes = classesOf(outputs, truth);
  const { labels, width } = truth;
  const given = truth.outputs.subarray(0, outputs.length);
  return {
    ...(labels && { accuracy: share(classes, labels) }),
    error: relativeError(outputs, given),
    ...((width > 1 || labels) && { agreement: share(classes, classesOf(given, truth)) }),
  };
}

function relativeError(outputs: Float32Array, expected: Float32Array): number {
  const mean = expected.reduce((a, b) => a + b, 0) / expected.length;
  let [difference, variance] = [0, 0];
  for (const [i, value] of expected.entries()) {
    difference += (outputs[i]! - value) ** 2;
    variance += (value - mean) ** 2;
  }
  if (difference === 0) return 0;
  return Math.sqrt(difference / (variance || Number.MIN_VALUE));
}

/** Whether a score is better than another: by the labels first, then by the error. */
export const isBetter = (a: Score, b: Score): boolean =>
  a.accuracy !== b.accuracy ? (a.accuracy ?? 0) > (b.accuracy ?? 0) : a.error < b.error;
