/** Where one activation lies: eight bits of a field, holding `u = q - low`, unsigned. */
export interface Placement {
  readonly field: string;
  /** Width of the field in bits. */
  readonly width: number;
  /** Least significant of the eight bits. */
  readonly offset: number;
  /** Bits from one element of the field to the next; those between them are zero. */
  readonly pitch: number;
  /** The element is always this u. A matrix takes it into its constants, and the field may not even be needed. */
  readonly constant?: number;
}

/**
 * A tensor in fields of the program, which are zero outside of their elements' bits.
 */
export interface Activations {
  /** Row-major, one an element. */
  readonly placements: readonly Placement[];
  /** The q that `u = 0` stands for. */
  readonly low: number;
  /** The largest q; `u` is at most `high - low`. */
  readonly high: number;
}

/** Bits of an activation in a field: this target knows only elements of a byte. */
export const ELEMENT_BITS = 8;

/** Consecutive elements of one field at a constant distance: what one slice can take out together. */
export interface Run {
  readonly field: string;
  readonly width: number;
  /** Offset of the first, least significant element. */
  readonly offset: number;
  /** Bits from one element to the next; the element's own bits where there is just one. */
  readonly pitch: number;
  /** Which elements, ascending by offset; indices into the list given to `findRuns`. */
  readonly members: readonly number[];
  /** Between the elements lie others of their field. */
  readonly mixed: boolean;
}

/** Splits elements into runs, each as long as it gets; runs in the order in which their fields are first met. */
export function findRuns(placements: readonly Placement[]): Run[] {
  const byField = new Map<string, number[]>();
  for (const [i, p] of placements.entries()) {
    const members = byField.get(p.field);
    if (members === undefined) byField.set(p.field, [i]);
    else members.push(i);
  }
  return [...byField.values()].flatMap((members) => {
    members.sort((a, b) => placements[a]!.offset - placements[b]!.offset);
    return splitByPitch(members, placements);
  });
}

function splitByPitch(members: readonly number[], placements: readonly Placement[]): Run[] {
  const runs: Run[] = [];
  let at = 0;
  while (at < members.length) {
    const first = placements[members[at]!]!;
    const distance = (i: number) => placements[members[i + 1]!]!.offset - placements[members[i]!]!.offset;
    let end = at + 1;
    const next = end < members.length ? distance(at) : 0;
    // One element may stand at several places of a tensor.
    const pitch = Math.max(next, ELEMENT_BITS);
    while (next > 0 && end < members.length && distance(end - 1) === pitch) end++;
    runs.push({
      field: first.field,
      width: first.width,
      offset: first.offset,
      pitch,
      members: members.slice(at, end),
      mixed: end > at + 1 && pitch !== first.pitch,
    });
    at = end;
  }
  return runs;
}
