import type { Window } from '../../model/model.ts';
import type { TensorType } from '../../model/tensor.ts';

/** Its size in elements and pixels. */
export interface Image {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** A flat tensor is one pixel with a channel an element. */
export function imageOf(type: TensorType): Image {
  if (type.shape.length === 3) {
    const [channels, height, width] = type.shape as readonly [number, number, number];
    return { channels, height, width };
  }
  return { channels: type.shape.reduce((a, b) => a * b, 1), height: 1, width: 1 };
}

/** Pixel of the input, or padding. */
export type Tap = { readonly y: number; readonly x: number } | undefined;

/** The taps of the window at every position of the output, row-major; taps in the order of the kernel. */
export function eachPosition(w: Window, input: TensorType, output: TensorType): Tap[][] {
  const { height, width } = imageOf(input);
  const out = imageOf(output);
  const [down, right] = w.dilations ?? [1, 1];
  const positions: Tap[][] = [];
  for (let oy = 0; oy < out.height; oy++)
    for (let ox = 0; ox < out.width; ox++) {
      const taps: Tap[] = [];
      for (let i = 0; i < w.kernel[0]; i++)
        for (let j = 0; j < w.kernel[1]; j++) {
          const y = oy * w.strides[0] + i * down - w.pads[0];
          const x = ox * w.strides[1] + j * right - w.pads[1];
          taps.push(y < 0 || y >= height || x < 0 || x >= width ? undefined : { y, x });
        }
      positions.push(taps);
    }
  return positions;
}
