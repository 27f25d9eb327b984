/** Many nodes in a row, side by side, and joined again: the work grows with their number, not with all ways through them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { chips } from '../../src/backends/tna/chips.ts';
import { pairings } from '../../src/backends/tna/layers.ts';
import { crossRanges, type MatrixSpec } from '../../src/backends/v1model/lane-words.ts';
import { ModelBuilder } from '../../src/import/builder.ts';
import { lowerElements } from '../../src/import/lower/functions-of-elements.ts';
import { exactAddRounding, fitAdd, onnxAddRounding } from '../../src/model/add-fit.ts';
import { shiftToEven } from '../../src/model/requantise.ts';
import { intransit, testFolder } from '../support/io.ts';
import { random } from '../support/random.ts';

// What grows with all ways takes longer than any time that a busy machine is given.
vi.setConfig({ testTimeout: 120_000 });

const folder = testFolder();
const LENGTH = 120;
const grid = (i: number) => ({ element: 'uint8', scale: 0.1 + 0.0007 * (i % 97), zeroPoint: 100 + (i % 30) });

const input = { element: 'uint8', shape: [8], scale: 0.1, zeroPoint: 128 };
const identity = Array.from({ length: 8 }, (_, o) =>
  Array.from({ length: 8 }, (__, i) => (i === o ? 90 : 1)),
);

/** Value `i` is what layer `i - 1` makes, value 0 the input. */
const value = (i: number): string => (i === 0 ? 'input' : `v${i}`);

/** What layer `i` is. */
const chains: Readonly<Record<string, (i: number) => object>> = {
  'sums with the input': (i) => ({ kind: 'add', inputs: [value(i), value(0)], output: grid(i) }),
  'sums of the two before': (i) => ({
    kind: 'add',
    inputs: [value(i), value(Math.max(0, i - 1))],
    output: grid(i),
  }),
  'products with the input': (i) => ({ kind: 'mul', inputs: [value(i), value(0)], output: grid(i) }),
  functions: (i) => ({ kind: 'lut', function: 'tanh', output: grid(i) }),
  'dense layers': (i) => ({ kind: 'dense', weights: identity, weightScale: 0.01, output: grid(i) }),
};

const fileOf = (name: string, of: (i: number) => object): string => {
  const path = join(folder, `${name.replaceAll(' ', '-')}.json`);
  const layers = Array.from({ length: LENGTH }, (_, i) => ({ name: value(i + 1), ...of(i) }));
  writeFileSync(path, JSON.stringify({ format: 'intransit-model', version: 1, input, layers }));
  return path;
};

for (const target of ['xdp', 'v1model', 'tna'])
  it.each(Object.entries(chains))(`${target}: %s`, async (name, of) => {
    const { code, err } = await intransit('inspect', fileOf(name, of), '--target', target);
    expect([0, 1]).toContain(code);
    expect(err).not.toMatch(/internal error/);
    // Whatever the target says, it says it of this model.
    if (code === 1) expect(err).toMatch(/^intransit: .*\[[a-z-]+\]/m);
  });

it('a sum is the form of the fewest pairs off, of all that are tried', () => {
  const r = random(5);
  const scale = () => Math.fround(r.pick([0.1, 0.25, 0.5, 1, r.int(100, 900) / 1000]));
  for (let i = 0; i < 6; i++) {
    const scales = [scale(), scale(), scale()] as const;
    const zeros = [r.int(0, 255), r.int(0, 255), r.int(0, 255)] as const;
    const ranges = [
      { lo: -zeros[0], hi: 255 - zeros[0] },
      { lo: -zeros[1], hi: 255 - zeros[1] },
    ] as const;
    const source = i % 2 === 0 ? onnxAddRounding(scales, zeros) : exactAddRounding(scales, zeros[2]);
    const ratios = [scales[0] / scales[2], scales[1] / scales[2]] as const;
    const form = fitAdd(source, { ratios, ranges, zeroPoint: zeros[2], min: 0, max: 255 });
    let off = 0;
    for (let a = ranges[0].lo; a <= ranges[0].hi; a++)
      for (let b = ranges[1].lo; b <= ranges[1].hi; b++) {
        const sum = a * form.multipliers[0] + b * form.multipliers[1] + form.offset;
        const clamp = (q: number) => Math.max(0, Math.min(255, q));
        if (clamp(shiftToEven(sum, form.shift, form.ties)) !== clamp(source(a, b))) off++;
      }
    // What it says of itself, counted pair by pair; and a sum whose ratios are whole is exact.
    expect(form.exactness.accumulators).toBe(off);
    if (ratios.every(Number.isInteger)) expect(off).toBe(0);
  }
});

it('functions by channel without a line are not fitted, and are tables of just what they give', () => {
  const builder = new ModelBuilder('m', 'm.json');
  const fit = vi.spyOn(builder, 'fit');
  const input = builder.setInput({ element: 'uint8', shape: [8], scale: 1, zeroPoint: 128 });
  const steps = (acc: number, channel: number) => (acc < 0 ? (acc * (channel - 4)) / 8 : acc);
  const to = { element: 'uint8', scale: 1, zeroPoint: 100, min: 0, max: 255 } as const;
  const { value } = lowerElements(builder, { name: 'f', input, steps, channels: 8, zeroPoint: 100 }, to);
  expect(fit).not.toHaveBeenCalled();
  const wanted = Array.from({ length: 8 * 256 }, (_, i) => {
    const real = steps((i % 256) - 128, i >> 8);
    const below = Math.floor(real);
    const isUp = real - below > 0.5 || (real - below === 0.5 && below % 2 !== 0);
    return Math.max(0, Math.min(255, below + (isUp ? 1 : 0) + 100));
  });
  expect(builder.layer(value)).toMatchObject({ kind: 'lut', table: Int16Array.from(wanted) });
});

it('ways to match activations by twos are all that there are while they are few, and never many', () => {
  const { tofino2 } = chips;
  for (let layers = 1; layers <= 60; layers++) {
    const made = pairings(layers, tofino2);
    const distinct = new Set(made.map((shares) => shares.join()));
    expect(distinct.size).toBe(made.length);
    expect(made.length).toBeLessThanOrEqual(243);
    if (layers <= 6) expect(made.length).toBe(3 ** (layers - 1));
    // A layer takes a stage of one of both gresses at least.
    else if (layers > 2 * tofino2.stages) expect(made).toEqual([]);
    else
      for (const share of [0, 0.5, 1])
        expect(distinct).toContain([0, ...Array(layers - 1).fill(share)].join());
    for (const shares of made) expect([shares.length, shares[0]]).toEqual([layers, 0]);
  }
});

it('bounds of the lanes of a group: each coefficient is asked for once, whatever groups are tried', () => {
  let asked = 0;
  const rows = 72;
  const spec: MatrixSpec = {
    rows,
    runs: [{ columns: Array.from({ length: rows }, (_, i) => i), pitch: 32 }],
    coefficient(row, column) {
      asked++;
      return row === column ? row + 1 : 0;
    },
    inputMax: 255,
    constants: new Map(),
    shift: 0,
    span: 255,
  };
  for (let group = 2; group <= 12; group++)
    for (let row = 0; row < rows; row++) {
      const lanes = crossRanges(spec, group, row);
      // Activation j of the group meets the row's own weight in lane j - member + group - 1, the row below's a group further down.
      const member = (row - 1) % group;
      const j = (lane: number) => member + lane + 1;
      const wanted = lanes.map((_, lane) => {
        const own = row % group >= group - 1 - lane ? row + 1 : 0;
        const length = Math.min(group, rows - (row - 1 - member));
        const below = row > 0 && j(lane) < length ? row : 0;
        return { lo: 0, hi: 255 * (own + below) };
      });
      expect(lanes).toEqual(wanted);
    }
  expect(asked).toBe(rows * rows);
});
