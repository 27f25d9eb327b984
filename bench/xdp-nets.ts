/** Random networks as large as a packet's input allows, of shapes that people train for such sizes. */
import { importJson } from '../src/import/json/index.ts';
import type { JsonLayerInput } from '../src/import/json/schema.ts';
import type { Model } from '../src/model/model.ts';

/** A small generator of bytes, the same at each run (xorshift32). */
function bytes(seed: number, count: number): Uint8Array {
  let x = seed;
  return Uint8Array.from({ length: count }, () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x & 0xff;
  });
}

const output = { element: 'int8', scale: 0.05, zeroPoint: -128 } as const;

interface Net {
  readonly model: Model;
  readonly rows: Uint8Array;
}

type Shape = readonly [channels: number, height: number, width: number];
type Pair = [number, number];

/** Layers one after the other; ReLU everywhere, as the least element is zero. */
function net(name: string, shape: Shape, build: (on: Builder) => void): Net {
  const on = new Builder(shape);
  build(on);
  const input = { element: 'int8', scale: 0.05, zeroPoint: -9, shape: [...shape] } as const;
  const json = { format: 'intransit-model', version: 1, name, input, layers: on.layers };
  const rows = bytes(17, 8 * shape[0] * shape[1] * shape[2]);
  return { model: importJson(JSON.stringify(json), `${name}.json`).model, rows };
}

class Builder {
  readonly layers: JsonLayerInput[] = [];
  #channels: number;
  #size: Pair;

  constructor([channels, height, width]: Shape) {
    this.#channels = channels;
    this.#size = [height, width];
  }

  conv(outs: number, kernel: Pair, strides: Pair = [1, 1], groups = 1): this {
    const [y, x] = kernel.map((k) => k >> 1) as Pair;
    const taps = (this.#channels / groups) * kernel[0] * kernel[1];
    const linear = this.#linear(taps, outs);
    this.layers.push({ kind: 'conv2d', ...linear, kernel, strides, pads: [y, x, y, x], groups });
    this.#size = this.#size.map((size, i) => Math.floor((size - 1) / strides[i]!) + 1) as Pair;
    this.#channels = outs;
    return this;
  }

  /** A convolution of each channel, and one over the channels: MobileNet's block. */
  separable(outs: number, kernel: Pair, strides: Pair = [1, 1]): this {
    return this.conv(this.#channels, kernel, strides, this.#channels).conv(outs, [1, 1]);
  }

  /** The mean of each channel, and a dense layer. */
  classes(count: number): void {
    this.layers.push({ kind: 'averagePool', kernel: this.#size, output, rounding: 'onnx' });
    this.layers.push({ kind: 'dense', ...this.#linear(this.#channels, count) });
  }

  #linear(taps: number, outs: number) {
    const weights = Buffer.from(bytes(taps * 1000 + outs, taps * outs)).toString('base64');
    return { weights, weightScale: 1 / Math.sqrt(taps) / 60, output, rounding: 'onnx' as const };
  }
}

export const xdpNets: Readonly<Record<string, Net>> = {
  'mobilenet 1x36x36': net('mobilenet', [1, 36, 36], (on) =>
    on
      .conv(8, [3, 3], [2, 2])
      .separable(16, [3, 3])
      .separable(32, [3, 3], [2, 2])
      .separable(32, [3, 3])
      .classes(10),
  ),
  'conv1d 1x1440': net('conv1d', [1, 1, 1440], (on) =>
    on.conv(8, [1, 9], [1, 4]).conv(16, [1, 5], [1, 2]).conv(32, [1, 3], [1, 2]).classes(12),
  ),
};
