import type { XdpOptions } from '../../src/backends/xdp/plan.ts';
import type { JsonLayerInput } from '../../src/import/json/schema.ts';
import type { Model } from '../../src/model/model.ts';
import { modelOf, randomGrid, randomLinear } from './models.ts';
import { type Random, random } from './random.ts';

/** Kernels that people have, and any other. */
const sizeOf = (r: Random, most: number): number =>
  Math.max(1, Math.min(most, r.pick([1, 2, 3, 3, 5, 7, 8, 9, 11, r.int(1, 16), r.int(1, 40)])));

const channelsOf = (r: Random): number =>
  r.pick([1, 1, 2, 3, 4, 5, 7, 8, 8, 10, 13, 16, 24, 32, 64, r.int(1, 80)]);

export interface RandomShape {
  readonly model: Model;
  readonly options: XdpOptions;
  readonly title: string;
}

/** One layer of any geometry, and sometimes a second behind it; the input has about so many elements at most. */
export function randomShapes(seed: number, mostElements = 20_000): RandomShape {
  const r = random(seed);
  let grid = randomGrid(r, 0.05);
  const side = () => r.pick([1, 2, 5, 8, 12, 20, 28, 32, 49, r.int(1, 64)]);
  let [c, h, w] = [channelsOf(r), side(), side()];
  while (c * h * w > mostElements)
    [c, h, w] = [Math.ceil(c / 2), h, w > 1 && h * w > 2000 ? Math.ceil(w / 2) : w];
  const input = { ...grid, shape: [c, h, w] };
  const layers: JsonLayerInput[] = [];
  const said: string[] = [`${c}x${h}x${w}`];
  for (let i = r.pick([1, 1, 2]); i > 0; i--) {
    const windowed = ['conv2d', 'conv2d', 'conv2d', 'depthwise', 'maxPool', 'averagePool'] as const;
    const kind = r.pick(i === 1 ? (['dense', ...windowed] as const) : windowed);
    const kernel: [number, number] = [sizeOf(r, h), sizeOf(r, w)];
    const strides: [number, number] = [r.int(1, 3), r.int(1, 3)];
    const pad = (k: number) => (r.chance(0.4) ? Math.floor(k / 2) : 0);
    const pads: [number, number, number, number] = [pad(kernel[0]), pad(kernel[1]), 0, 0];
    const window = { kernel, strides, pads };
    const resized = () => {
      h = Math.floor((h + pads[0] - kernel[0]) / strides[0]) + 1;
      w = Math.floor((w + pads[1] - kernel[1]) / strides[1]) + 1;
    };
    said.push(kind === 'dense' ? kind : `${kind} ${kernel.join('x')}/${strides.join('x')}`);
    if (kind === 'dense') {
      const outs = channelsOf(r);
      said.push(`${outs}`);
      const linear = randomLinear(r, c * h * w, outs, grid);
      layers.push({ kind, ...linear });
      grid = linear.output;
      [c, h, w] = [outs, 1, 1];
    } else if (kind === 'conv2d' || kind === 'depthwise') {
      const groups =
        kind === 'depthwise' ? c : r.chance(0.15) ? r.pick([1, 2, 4].filter((g) => c % g === 0)) : 1;
      const outs =
        kind === 'depthwise' ? c * r.pick([1, 1, 2, 8]) : groups * Math.ceil(channelsOf(r) / groups);
      said.push(`${outs}${groups > 1 ? ` in ${groups}` : ''}`);
      const linear = randomLinear(r, (c / groups) * kernel[0] * kernel[1], outs, grid);
      layers.push({ kind: 'conv2d', ...linear, ...window, groups });
      grid = linear.output;
      c = outs;
      resized();
    } else if (kind === 'maxPool') {
      layers.push({ kind, ...window });
      resized();
    } else {
      const output = randomGrid(r, grid.scale * (0.5 + r.next()));
      layers.push({ kind, ...window, output, rounding: 'tflite' });
      grid = output;
      resized();
    }
  }
  const options: XdpOptions = {
    mtu: 65_535,
    ...(r.chance(0.15) && { lanes: 'off' as const }),
    ...(r.chance(0.15) && { weights: 'static' as const }),
  };
  const title = `${seed}: ${said.join(' ')} ${options.lanes ?? ''} ${options.weights ?? ''}`.trim();
  return { model: modelOf(input, layers, `shape-${seed}`), options, title };
}
