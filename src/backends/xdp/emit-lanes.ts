import type { LaneLayout } from '../../passes/lanes.ts';
import { type BlockPlace, overTaps, runs, store } from './emit-taps.ts';
import type { MatrixPlan } from './plan.ts';

/** Sums of one block of `size` words in registers, then requantised word by word. */
export function laneBody(p: MatrixPlan, lanes: LaneLayout, size: number, at: BlockPlace): string[] {
  const { count, length } = runs(p);
  const words = Array.from({ length: size }, (_, k) => k);
  const tap = count === 1 ? 't' : `(r * ${length} + t)`;
  const window = lanes.requantisation === 'window';
  const out = [
    `\t\tconst __u64 *start = ${at.start}, *k = ${at.weights};`,
    `\t\tconst __u64 *multiplier = ${at.multiplier}, *offset = ${at.offset};`,
    ...(window ? [`\t\tconst __u64 *top = ${at.top};`] : []),
    `\t\t__u64 ${words.map((k) => `a${k} = start[${k}]`).join(', ')};`,
    '',
    // Left alone, clang gathers the products of many taps first and runs out of registers, then out of stack.
    ...overTaps(
      p,
      at,
      words.map(
        (k) => `a${k} += v * k[${tap} * ${size} + ${k}]; asm volatile("" : "+r"(a${k}) : : "memory");`,
      ),
    ),
    '',
  ];
  for (const k of words)
    out.push(...storeWord(p, lanes, k, at.targets.slice(k * lanes.lanes, (k + 1) * lanes.lanes)));
  return out;
}

/** Requantises the channels of a block's word and stores them. */
function storeWord(p: MatrixPlan, lanes: LaneLayout, word: number, places: readonly string[]): string[] {
  const out: string[] = [];
  const window = lanes.requantisation === 'window';
  if (window) {
    let ones = 0n;
    for (let lane = 0; lane < lanes.lanes; lane++) ones |= 1n << BigInt(lane * lanes.laneBits);
    const masks = `${lanes.laneBits - 1}, 0x${ones.toString(16)}ULL`;
    out.push(`\t\ta${word} = intransit_clamp_lanes(a${word}, top[${word}], ${masks});`);
  }
  places.forEach((place, lane) => {
    const channel = word * lanes.lanes + lane;
    const at = lane * lanes.laneBits;
    const bits = lane === lanes.lanes - 1 ? 64 - at : window ? lanes.laneBits - 1 : lanes.laneBits;
    const value = `intransit_lane(a${word}, ${at}, ${bits})`;
    out.push(store(p, place, value, `multiplier[${channel}]`, `offset[${channel}]`, window));
  });
  return out;
}
