import type { Chip } from './chips.ts';
import { joinsOf, layOut } from './lay-out.ts';
import type { Block, Fixed, Schedule } from './units.ts';

/** Numbers of sets that are kept while they are chosen, those of the fewest containers: a program of many layers has 5^layers. */
const MOST_WAYS = 4096;
/** Layouts that are made to find one that fits. */
const MOST_TRIES = 1000;
/** Blocks up to which the one of the fewest stages is searched even where none can fit. */
const SEARCHED_BLOCKS = 8;

/** Sets of sums that are tried: more take fewer stages to add to, but more containers and stages to join. */
const SETS = [1, 2, 3, 4, 8] as const;

/** More stages than any two gresses have together. */
const ANY_STAGES = 2 ** 20;

/** How far from what the chip has: by the longer gress, then by both. */
const distanceOf = (ingress: number, egress: number, chip: Chip): number =>
  Math.max(ingress, egress, chip.stages) * ANY_STAGES + ingress + egress;

/**
 * Of the ways to cut the blocks into ingress and egress, and of the numbers of sets, the one of the fewest containers that fits,
 * or else the one of the fewest stages.
 * @param layers how many of the blocks may stand in ingress; what follows them is egress' own
 * @param fixed what stands beside the blocks
 */
export function schedule(chip: Chip, blocks: readonly Block[], layers: number, fixed: Fixed): Schedule {
  const { before } = fixed;
  const ways = choices(chip, blocks);
  const cuts = Array.from({ length: Math.max(1, layers) }, (_, i) => layers - i);
  const firstStage = Math.min(
    before.length,
    ...((blocks[0]?.first ?? blocks[0]?.tables)?.map((t) => t.from ?? before.length) ?? []),
  );
  const costs = blocks.map(stageCosts);
  const least = (sets: readonly number[], cut: number) => leastDistance(costs, firstStage, cut, sets, chip);
  if (blocks.length > SEARCHED_BLOCKS) {
    // None of many layers fits by far: what comes nearest is laid out, to tell what it needs.
    const half = cuts[cuts.length >> 1]!;
    const sets = nearestOf(ways, (way) => least(way, half));
    const cut = nearestOf(cuts, (at) => least(sets, at));
    const stages = costs.reduce((n, own, b) => n + own[sets[b]!]!, firstStage);
    if (stages > 2 * chip.stages)
      return { ...layOut(blocks, fixed, cut, sets), containers: containersOf(blocks, sets) };
  }
  let best: Schedule | undefined;
  let nearest = Number.POSITIVE_INFINITY;
  let tries = 0;
  for (const sets of ways)
    for (const cut of cuts) {
      if (best !== undefined && (tries >= MOST_TRIES || least(sets, cut) >= nearest)) continue;
      const made = { ...layOut(blocks, fixed, cut, sets), containers: containersOf(blocks, sets) };
      tries++;
      if (Math.max(made.stages.ingress, made.stages.egress) <= chip.stages) return made;
      const distance = distanceOf(made.stages.ingress, made.stages.egress, chip);
      if (distance >= nearest) continue;
      best = made;
      nearest = distance;
    }
  return best!;
}

/** The first of those of the least distance. */
function nearestOf<T>(all: readonly T[], distance: (one: T) => number): T {
  let best: T = all[0]!;
  let least = Number.POSITIVE_INFINITY;
  for (const one of all) {
    const own = distance(one);
    if (own >= least) continue;
    best = one;
    least = own;
  }
  return best;
}

/** Stages that a block takes at least, by the number of its sets: each is added to once a stage, and joined behind it. */
function stageCosts({ first, tables, sums }: Block): readonly number[] {
  const most = Math.max(...SETS, tables.length);
  return Array.from({ length: most + 1 }, (_, own) => {
    const joins = sums === undefined ? 0 : joinsOf(Math.max(1, own));
    return (first === undefined ? 0 : 1) + Math.ceil(tables.length / Math.max(1, own)) + joins;
  });
}

/**
 * How near to what the chip has no layout comes more: of the stages that it cannot do with less of.
 * @param costs `stageCosts` of each block; thousands of ways are asked for
 */
function leastDistance(
  costs: readonly (readonly number[])[],
  before: number,
  cut: number,
  sets: readonly number[],
  chip: Chip,
): number {
  let [ingress, egress] = [before, 0];
  for (let b = 0; b < costs.length; b++) {
    const own = costs[b]![sets[b]!]!;
    if (b < cut) ingress += own;
    else egress += own;
  }
  return distanceOf(ingress, egress, chip);
}

/** Numbers of sets of all blocks whose containers the chip has, fewest first; if there are none, a set each. */
function choices(chip: Chip, blocks: readonly Block[]): readonly (readonly number[])[] {
  const sizes = blocks.map(({ sums, tables }) => [sums?.wide, sums?.half, tables.length]);
  // A planner lays out thousands of segments, of which most have blocks of the same sizes.
  const key = JSON.stringify([chip.wideContainers, chip.halfContainers, sizes]);
  const known = chosen.get(key);
  if (known !== undefined) return known;
  const made = choose(chip, blocks);
  if (chosen.size >= MOST_KNOWN) chosen.clear();
  chosen.set(key, made);
  return made;
}

/** What has been chosen. */
const chosen = new Map<string, readonly (readonly number[])[]>();

/** Sizes of blocks that are remembered, of up to `MOST_WAYS` ways each. */
const MOST_KNOWN = 64;

function choose(chip: Chip, blocks: readonly Block[]): readonly (readonly number[])[] {
  let made: readonly Choice[] = [{ sets: [], wide: 0, half: 0 }];
  for (const { sums, tables } of blocks) {
    const options =
      sums === undefined
        ? [tables.length]
        : SETS.filter((n) => n <= Math.max(1, Math.ceil(tables.length / 2)));
    const { wide: ownWide, half: ownHalf } = sums ?? { wide: 0, half: 0 };
    made = made.flatMap(({ sets, wide, half }) =>
      options.flatMap((n): Choice[] => {
        const more = { wide: wide + n * ownWide, half: half + n * ownHalf };
        const fits = more.wide <= chip.wideContainers && more.half <= chip.halfContainers;
        return fits ? [{ sets: [...sets, n], ...more }] : [];
      }),
    );
    if (made.length > MOST_WAYS) made = [...made].sort(bySize).slice(0, MOST_WAYS);
  }
  if (made.length > 0) return [...made].sort(bySize).map(({ sets }) => sets);
  return [blocks.map(({ sums, tables }) => (sums === undefined ? tables.length : 1))];
}

/** Numbers of sets of the first blocks, and the containers of them all. */
interface Choice {
  readonly sets: readonly number[];
  readonly wide: number;
  readonly half: number;
}

const bySize = (a: Choice, b: Choice): number => sizeOf(a) - sizeOf(b);

/**
 * Containers that arithmetic writes. Within a gress those of a layer whose sums are no longer read could serve again, which the
 * compiler rarely does: all are counted.
 */
function containersOf(blocks: readonly Block[], sets: readonly number[]): Schedule['containers'] {
  const total = (kind: 'wide' | 'half') =>
    blocks.reduce((n, { sums }, b) => n + (sums === undefined ? 0 : sums[kind] * sets[b]!), 0);
  return { wide: total('wide'), half: total('half') };
}

const sizeOf = ({ wide, half }: Schedule['containers']): number => 2 * wide + half;
