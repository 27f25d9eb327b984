/** Where one activation lies: eight bits of a field, holding `u = q - low`, unsigned. */
export interface Placement {
  readonly field: string;
  /** Width of the field in bits. */
  readonly width: number;
  /** Least significant of the eight bits. */
  readonly offset: number;
  /** The field is one of the packet: between elements of one run lie others. */
  readonly mixed?: boolean;
}

/**
 * A tensor in fields of the program. Fields that hold lanes are zero outside of their elements' bits, but for mixed ones.
 */
export interface Activations {
  /** Row-major, one an element. */
  readonly placements: readonly Placement[];
  /** The q that `u = 0` stands for. */
  readonly low: number;
  /** The largest q; `u` is at most `high - low`. */
  readonly high: number;
}

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
    const pitch = end < members.length ? distance(at) : ELEMENT_BITS;
    while (end < members.length && distance(end - 1) === pitch) end++;
    runs.push({
      field: first.field,
      width: first.width,
      offset: first.offset,
      pitch,
      members: members.slice(at, end),
      mixed: first.mixed ?? false,
    });
    at = end;
  }
  return runs;
}
