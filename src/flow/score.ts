/** How one class fared. Ratios are 0 where there is nothing to divide by. */
export interface ClassScore {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** How many have the class by their labels. */
  readonly support: number;
}

/** Verdicts beside labels. */
export interface Score {
  /** With a label and a verdict. */
  readonly count: number;
  readonly correct: number;
  readonly accuracy: number;
  /** Mean F1 of the classes that labels or verdicts name. */
  readonly macroF1: number;
  /** `confusion[label][class]`. */
  readonly confusion: readonly (readonly number[])[];
  readonly classes: readonly ClassScore[];
}

/** @param pairs indexes below `classCount` */
export function score(
  pairs: readonly { readonly class: number; readonly label: number }[],
  classCount: number,
): Score {
  const confusion = Array.from({ length: classCount }, () => new Array<number>(classCount).fill(0));
  for (const { class: c, label } of pairs) confusion[label]![c]!++;
  const each = confusion.map((row, k) => classScore(row, confusion, k));
  const named = each.filter((s, k) => s.support > 0 || confusion.some((row) => row[k]! > 0));
  const correct = confusion.reduce((sum, row, k) => sum + row[k]!, 0);
  return {
    count: pairs.length,
    correct,
    accuracy: ratio(correct, pairs.length),
    macroF1: ratio(
      named.reduce((sum, s) => sum + s.f1, 0),
      named.length,
    ),
    confusion,
    classes: each,
  };
}

function classScore(
  row: readonly number[],
  confusion: readonly (readonly number[])[],
  k: number,
): ClassScore {
  const hits = row[k]!;
  const support = row.reduce((a, b) => a + b, 0);
  const said = confusion.reduce((sum, other) => sum + other[k]!, 0);
  return {
    precision: ratio(hits, said),
    recall: ratio(hits, support),
    f1: ratio(2 * hits, said + support),
    support,
  };
}

const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
