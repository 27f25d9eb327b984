import type { Window } from './model.ts';

/** One axis of a window over an image. Sizes in elements. */
export interface Axis {
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padBefore: number;
  readonly padAfter: number;
}

/** `floor((size + pads - kernel) / stride) + 1`; less than one if the window does not fit. */
export const outputSize = ({ size, kernel, stride, padBefore, padAfter }: Axis): number =>
  Math.floor((size + padBefore + padAfter - kernel) / stride) + 1;

/** Elements from the first tap to the last along one axis, both counted. */
export const windowExtent = (
  { kernel, dilations }: Pick<Window, 'kernel' | 'dilations'>,
  axis: 0 | 1,
): number => (kernel[axis] - 1) * (dilations?.[axis] ?? 1) + 1;

/** Output `[height, width]` of a window over an image. */
export function windowOutput(w: Window, height: number, width: number): [number, number] {
  const axis = (i: 0 | 1, size: number): Axis => ({
    size,
    kernel: windowExtent(w, i),
    stride: w.strides[i],
    padBefore: w.pads[i],
    padAfter: w.pads[i + 2]!,
  });
  return [outputSize(axis(0, height)), outputSize(axis(1, width))];
}

/** Taps along one axis, at this place of the output, that lie inside of an image of this size. */
export function tapsInside(window: Window, axis: 0 | 1, at: number, size: number): number {
  const start = at * window.strides[axis] - window.pads[axis];
  const dilation = window.dilations?.[axis] ?? 1;
  const first = Math.max(0, Math.ceil(-start / dilation));
  const end = Math.min(window.kernel[axis], Math.ceil((size - start) / dilation));
  return Math.max(0, end - first);
}

/** How many elements of the image a window can hold: each number that occurs, ascending. */
export function tapCounts(window: Window, height: number, width: number): number[] {
  const [rows, columns] = windowOutput(window, height, width);
  const along = (axis: 0 | 1, count: number, size: number) =>
    new Set(Array.from({ length: count }, (_, at) => tapsInside(window, axis, at, size)));
  const counts = new Set<number>();
  for (const a of along(0, rows, height)) for (const b of along(1, columns, width)) counts.add(a * b);
  return [...counts].sort((a, b) => a - b);
}
