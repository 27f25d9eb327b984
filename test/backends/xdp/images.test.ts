import { expect, it } from 'vitest';
import { xdpNeeds } from '../../../src/backends/xdp/needs.ts';
import { planXdp, type XdpOptions } from '../../../src/backends/xdp/plan.ts';
import type { JsonLayerInput, JsonModelInput } from '../../../src/import/json/schema.ts';
import type { Model } from '../../../src/model/model.ts';
import { loadXdp } from '../../../src/runtime/xdp/engine.ts';
import { describeWith, loading } from '../../support/machine.ts';
import { modelOf, randomGrid, randomLinear, rowsOf } from '../../support/models.ts';
import { type Random, random } from '../../support/random.ts';
import { compareXdp, inParallel } from '../../support/xdp.ts';

/** Images and signals of as many elements as a packet has. */
const SHAPES = [
  [1, 36, 36],
  [3, 20, 20],
  [1, 1, 1440],
  [8, 1, 180],
  [2, 40, 17],
  [2, 700, 1],
] as const;

/** Of a tensor: with borders it must fit 32 kB. */
const MOST_ELEMENTS = 12_000;

const pads = (kernel: readonly [number, number]): [number, number, number, number] => {
  const [y, x] = kernel.map((k) => Math.floor(k / 2)) as [number, number];
  return [y, x, y, x];
};

/** Layers one after the other, and the shape that they have come to. */
class Net {
  readonly layers: JsonLayerInput[] = [];
  readonly #input: JsonModelInput['input'];
  #grid: ReturnType<typeof randomGrid>;
  shape: [number, number, number];

  constructor(
    readonly r: Random,
    shape: readonly [number, number, number],
  ) {
    this.#grid = randomGrid(r, 0.05);
    this.#input = { ...this.#grid, shape: [...shape] };
    this.shape = [...shape];
  }

  model = (name: string): Model => modelOf(this.#input, this.layers, name);

  #push(layer: JsonLayerInput, grid = this.#grid): void {
    this.layers.push({ ...layer, name: `l${this.layers.length}` });
    this.#grid = grid;
  }

  /** Kernels and strides are cut to the image. */
  #window(size: number, stride: number, padded: boolean) {
    const [, height, width] = this.shape;
    const kernel: [number, number] = [Math.min(size, height), Math.min(size, width)];
    const strides: [number, number] = [height > 1 ? stride : 1, width > 1 ? stride : 1];
    const around = padded ? pads(kernel) : ([0, 0, 0, 0] as [number, number, number, number]);
    const sizeOf = (i: 0 | 1, size: number) =>
      Math.floor((size + around[i] + around[(i + 2) as 2 | 3] - kernel[i]) / strides[i]) + 1;
    return { window: { kernel, strides, pads: around }, height: sizeOf(0, height), width: sizeOf(1, width) };
  }

  conv(outs: number, size: number, stride: number, groups = 1, padded = true): void {
    const [, rows, columns] = this.shape;
    const step = outs * rows * columns > MOST_ELEMENTS ? 2 : stride;
    const { window, height, width } = this.#window(size, step, padded);
    const taps = (this.shape[0] / groups) * window.kernel[0] * window.kernel[1];
    const linear = randomLinear(this.r, taps, outs, this.#grid);
    this.#push({ kind: 'conv2d', ...linear, ...window, groups }, linear.output);
    this.shape = [outs, height, width];
  }

  separable(outs: number, stride: number): void {
    this.conv(this.shape[0], 3, stride, this.shape[0]);
    this.conv(outs, 1, 1);
  }

  max(size: number, stride: number): void {
    const { window, height, width } = this.#window(size, stride, this.r.chance(0.5));
    this.#push({ kind: 'maxPool', ...window });
    this.shape = [this.shape[0], height, width];
  }

  average(size: number, stride: number): void {
    const { window, height, width } = this.#window(size, stride, false);
    const output = randomGrid(this.r, 0.05);
    this.#push({ kind: 'averagePool', ...window, output, rounding: 'onnx' }, output);
    this.shape = [this.shape[0], height, width];
  }

  globalAverage(): void {
    const [, height, width] = this.shape;
    const output = randomGrid(this.r, 0.03);
    this.#push({ kind: 'averagePool', kernel: [height, width], output, rounding: 'onnx' }, output);
    this.shape = [this.shape[0], 1, 1];
  }

  table(): void {
    const output = randomGrid(this.r, 0.05);
    const [lo, hi] = output.element === 'uint8' ? [0, 255] : [-128, 127];
    const table = Array.from({ length: 256 }, () => this.r.int(lo, hi));
    this.#push({ kind: 'lut', output, table }, output);
  }

  requantise(): void {
    const output = randomGrid(this.r, 0.08);
    this.#push({ kind: 'requantise', output, rounding: 'onnx' }, output);
  }

  /** A convolution of as many channels, and its input added. */
  residual(): void {
    const before = this.layers.at(-1)!.name!;
    // An even kernel would make the image larger.
    this.conv(this.shape[0], Math.min(...this.shape.slice(1).filter((n) => n > 1)) < 3 ? 1 : 3, 1);
    const output = randomGrid(this.r, 0.1);
    this.#push({ kind: 'add', inputs: [before, this.layers.at(-1)!.name!], output }, output);
  }

  dense(outs: number): void {
    const [channels, height, width] = this.shape;
    const linear = randomLinear(this.r, channels * height * width, outs, this.#grid);
    this.#push({ kind: 'dense', ...linear }, linear.output);
    this.shape = [outs, 1, 1];
  }
}

/** Convolutions of 8 to 32 channels over an image that fills a packet, and what stands between and behind them. */
function randomLarge(seed: number): Model {
  const r = random(seed);
  const net = new Net(r, SHAPES[seed % SHAPES.length]!);
  net.conv(r.pick([4, 8, 12]), r.pick([3, 5]), r.pick([1, 2]), 1, r.chance(0.7));
  for (let i = r.int(1, 3); i > 0; i--) {
    const kind = r.pick([
      'conv',
      'separable',
      'separable',
      'residual',
      'max',
      'average',
      'lut',
      'requantise',
    ]);
    if (kind === 'conv') net.conv(r.pick([8, 13, 16, 32]), 3, r.pick([1, 2]), 1, r.chance(0.7));
    else if (kind === 'separable') net.separable(r.pick([8, 16, 24]), r.pick([1, 2]));
    else if (kind === 'residual') net.residual();
    else if (kind === 'max') net.max(r.int(2, 3), r.int(1, 2));
    else if (kind === 'average') net.average(r.pick([2, 3, 7]), r.int(1, 2));
    else if (kind === 'lut') net.table();
    else net.requantise();
  }
  if (r.chance(0.6)) net.globalAverage();
  const [channels, height, width] = net.shape;
  if (channels * height * width < 4000) net.dense(10);
  else {
    net.conv(4, 3, 2);
    net.globalAverage();
  }
  return net.model(`large-${seed}`);
}

/** At most so many times what is walked may be foretold. */
const GENEROUS = 3;

interface Job {
  readonly seed: number;
  readonly options: XdpOptions;
}

async function compare({ seed, options }: Job) {
  const model = randomLarge(seed);
  const rows = rowsOf(random(seed ^ 0x5eed), model, 6);
  return { name: `${model.name} ${JSON.stringify(options)}`, ...(await compareXdp(model, options, rows)) };
}

const PATIENT = 400_000;

describeWith(loading, 'images and signals as large as a packet, in one program', () => {
  it(
    'give the integers of the reference',
    async () => {
      const jobs = [
        ...Array.from({ length: 36 }, (_, seed) => ({ seed, options: {} })),
        ...Array.from({ length: 6 }, (_, i) => ({ seed: 100 + i, options: { weights: 'static' as const } })),
        ...Array.from({ length: 6 }, (_, i) => ({ seed: 110 + i, options: { lanes: 'off' as const } })),
      ];
      const results = await inParallel(jobs, 2, compare);
      const factors = (r: (typeof results)[number]) => [r.name, r.foretold, r.verified];
      expect(results.filter((r) => r.mismatches > 0)).toEqual([]);
      expect(results.filter((r) => r.verified > r.foretold).map(factors)).toEqual([]);
      expect(results.filter((r) => r.foretold > GENEROUS * r.verified).map(factors)).toEqual([]);
    },
    PATIENT,
  );

  it('need no more stack than is foretold', async () => {
    for (const seed of [1, 2, 6, 9]) {
      const plan = planXdp(randomLarge(seed)).plan!;
      using device = await loadXdp(plan);
      const { need } = xdpNeeds(plan).find(({ resource }) => resource === 'stack')!;
      const [program, ...bodies] = device.program.stats!.stackBytes!;
      const deepest = bodies.sort((a, b) => b - a).slice(0, 2);
      expect(program! + deepest.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(need);
    }
  });
});
