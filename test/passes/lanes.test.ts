import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MatrixPlan, planXdp, type XdpPlan } from '../../src/backends/xdp/plan.ts';
import { weightArrays } from '../../src/backends/xdp/weights.ts';
import type { DenseLayer } from '../../src/model/model.ts';
import { accumulatorRanges } from '../../src/model/ranges.ts';
import { elementRange } from '../../src/model/tensor.ts';
import { verifyModel } from '../../src/model/verify.ts';
import { channelLaneBits, laneNeed, packLanes } from '../../src/passes/lanes.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { modelOf, randomGrid, randomLinear } from '../support/models.ts';
import { type Random, random, randomRows } from '../support/random.ts';

const word = (x: bigint) => BigInt.asUintN(64, x);

/** The numbers of a program's only layer. */
function numbers(plan: XdpPlan) {
  const arrays = new Map(weightArrays(plan).map((a) => [a.name.replace('layer0_', ''), a.values]));
  const of = (name: string) => arrays.get(name) ?? [];
  return {
    start: of('start'),
    top: of('top'),
    weights: of('weights'),
    multiplier: of('multiplier'),
    offset: of('offset'),
    pivot: of('pivot'),
    below: of('below'),
    ties: of('ties'),
  };
}

/** `intransit_lane_mask` of ebpf/intransit_lanes.h. */
function mask(v: bigint, sign: bigint, ones: bigint): bigint {
  const high = v & word(ones << sign);
  return word(high - (high >> sign));
}

function clampLanes(v: bigint, top: bigint, sign: bigint, ones: bigint): bigint {
  const kept = v & mask(v, sign, ones);
  const room = word(top - kept);
  return word(top - (room & mask(room, sign, ones)));
}

/** The program's arithmetic on 64-bit words, with every lane checked against its own exact sum on the way. */
function simulate(plan: XdpPlan, row: Uint8Array): number[] {
  const p = plan.layers[0] as MatrixPlan;
  const layer = p.layer as DenseLayer;
  const lanes = p.lanes!;
  const n = numbers(plan);
  const { lo } = elementRange(p.input.element);
  const q = Array.from(row, (b) => (p.input.element === 'int8' ? (b << 24) >> 24 : b));
  const unsigned = q.map((x) => BigInt(x - lo));
  const window = lanes.requantisation === 'window';
  const sign = BigInt(lanes.laneBits - 1);
  let ones = 0n;
  for (let lane = 0; lane < lanes.lanes; lane++) ones |= 1n << BigInt(lane * lanes.laneBits);

  const out: number[] = [];
  let first = 0;
  for (const size of p.blocks) {
    for (let k = 0; k < size; k++) {
      const index = first + k;
      let sum = n.start[index]!;
      unsigned.forEach((u, tap) => {
        sum += u * n.weights[first * p.taps + tap * size + k]!;
      });
      let v = word(sum);
      const used = Math.min(lanes.lanes, layer.bias.length - index * lanes.lanes);
      checkLanes(p, layer, q, index, used, v);
      if (window) v = clampLanes(v, word(n.top[index]!), sign, ones);
      for (let lane = 0; lane < used; lane++) {
        const channel = index * lanes.lanes + lane;
        const at = lane * lanes.laneBits;
        const bits = lane === lanes.lanes - 1 ? 64 - at : window ? lanes.laneBits - 1 : lanes.laneBits;
        const value = BigInt.asUintN(bits, v >> BigInt(at));
        const isBelow = p.below && BigInt.asIntN(64, value - n.pivot[channel]!) < 0n;
        const part = isBelow ? n.below[channel]! : 0n;
        const scaled = word(value * n.multiplier[channel]! + n.offset[channel]! + part);
        const shifted = toEven(scaled, p, n.ties[channel] ?? 0n);
        if (window) out.push(Number(BigInt.asUintN(8, shifted)));
        else {
          const { min, max } = layer.requantiser;
          out.push(Math.max(min, Math.min(max, Number(shifted))) - elementRange(layer.output.element).lo);
        }
      }
    }
    first += size;
  }
  // Unsigned activations, as bytes of the wire.
  return out.map((u) => (u + elementRange(layer.output.element).lo) & 0xff);
}

/** `intransit_to_even` of ebpf/intransit_lanes.h, or the plain shift. */
function toEven(scaled: bigint, { odd, shift }: MatrixPlan, part: bigint): bigint {
  const isOdd = odd !== undefined && ((scaled >> BigInt(shift)) & 1n) === BigInt(odd);
  return BigInt.asIntN(64, scaled - (isOdd ? part : 0n)) >> BigInt(shift);
}

/** Each lane holds its own sum: in range, so that the lanes side by side are the word. */
function checkLanes(
  p: MatrixPlan,
  layer: DenseLayer,
  q: number[],
  index: number,
  used: number,
  v: bigint,
): void {
  const lanes = p.lanes!;
  const need = laneNeed(layer, p.input);
  let rebuilt = 0n;
  for (let lane = 0; lane < used; lane++) {
    const c = index * lanes.lanes + lane;
    let acc = layer.bias[c]!;
    for (const [i, x] of q.entries()) acc += layer.weights[c * p.taps + i]! * (x - p.input.zeroPoint);
    const { lo, hi } = need.ranges[c]!;
    expect(acc >= lo && acc <= hi).toBe(true);
    const zero =
      lanes.requantisation === 'window'
        ? need.windows![c]!.from - 2 ** (lanes.laneBits - 1)
        : need.ranges[c]!.lo;
    const held = BigInt(acc - zero);
    if (held < 0n || held >= 1n << BigInt(lanes.laneBits))
      expect.fail(`lane of channel ${c} overflows: ${held}`);
    rebuilt += held << BigInt(lane * lanes.laneBits);
  }
  if (rebuilt !== v) expect.fail(`word ${index} is not its lanes side by side`);
}

/** Rows that drive one channel to its least and most, and the ends of all. */
function adversarialRows(p: MatrixPlan, r: Random): Uint8Array[] {
  const { weights, bias } = p.layer;
  const [lo, hi] = p.input.element === 'uint8' ? [0, 255] : [0x80, 0x7f];
  const rows = [new Uint8Array(p.taps).fill(lo), new Uint8Array(p.taps).fill(hi), randomRows(r, 1, p.taps)];
  for (let n = 0; n < Math.min(bias.length, 4); n++) {
    const c = r.int(0, bias.length - 1);
    const extreme = (positive: number, other: number) =>
      Uint8Array.from({ length: p.taps }, (_, i) => (weights[c * p.taps + i]! > 0 ? positive : other));
    rows.push(extreme(hi, lo), extreme(lo, hi));
  }
  return rows;
}

const layers = fc.record({
  seed: fc.nat(2 ** 31),
  taps: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 128 })),
  outs: fc.integer({ min: 1, max: 24 }),
  weights: fc.constantFrom('runtime' as const, 'static' as const),
});

describe('packed lanes', () => {
  it('hold what they must and give the integers of the reference', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(layers, ({ seed, taps, outs, weights }) => {
        const r = random(seed);
        const input = randomGrid(r, 0.05);
        const model = modelOf({ ...input, shape: [taps] }, [
          { kind: 'dense', ...randomLinear(r, taps, outs, input) },
        ]);
        expect(verifyModel(model)).toEqual([]);
        const plan = planXdp(model, { weights }).plan!;
        const p = plan.layers[0] as MatrixPlan;
        seen.add(`${p.lanes!.lanes} ${p.lanes!.requantisation}`);
        for (const row of adversarialRows(p, r))
          expect(simulate(plan, row)).toEqual([...interpret(model, row)]);
      }),
      { numRuns: 250 },
    );
    expect([...seen].sort()).toEqual(
      expect.arrayContaining(['2 window', '3 window', '4 window', '5 window']),
    );
  });

  it('fit, and no others that fit have fewer words', () =>
    fc.assert(
      fc.property(layers, ({ seed, taps, outs }) => {
        const r = random(seed);
        const input = { ...randomGrid(r, 0.05), shape: [taps] };
        const model = modelOf(input, [{ kind: 'dense', ...randomLinear(r, taps, outs, input) }]);
        const layer = model.layers[0] as DenseLayer;
        const need = laneNeed(layer, model.input);
        const layout = packLanes(need, taps);
        const most = (mode: 'window' | 'scalar') =>
          Math.max(...need.ranges.map((_, c) => channelLaneBits(need, c, mode)));
        const bits = Math.min(need.windows === undefined ? 64 : most('window'), most('scalar'));
        expect(layout.laneBits).toBeGreaterThanOrEqual(most(layout.requantisation));
        const fewest = Math.ceil(outs / Math.min(8, Math.floor(64 / bits)));
        // Scaling and clamping each lane, some two multiplies more, may cost more than a word does.
        if (taps > 2 * outs) expect(layout.words).toBe(fewest);
        else expect(layout.words).toBeGreaterThanOrEqual(fewest);
        expect(layout.words).toBe(Math.ceil(outs / layout.lanes));
        expect(need.ranges).toEqual(accumulatorRanges(layer, model.input));
      }),
      { numRuns: 200 },
    ));
});
