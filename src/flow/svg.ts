/** Charts as SVG: plain shapes and text, so that a page needs nothing else to show them. */

import { printableMarkup } from '../diagnostics/index.ts';

/** One bar of a chart; the largest value is as long as the chart is wide. */
export interface Bar {
  readonly name: string;
  readonly value: number;
}

const ROW = 22;
const NAME = 130;
const WIDTH = 520;
const VALUE = 70;

/** Horizontal bars, each with its name and number. */
export function barChart(title: string, bars: readonly Bar[]): string {
  const most = Math.max(1, ...bars.map((b) => b.value));
  const room = WIDTH - NAME - VALUE;
  const rows = bars.map(({ name, value }, i) => {
    const y = i * ROW;
    return [
      `<text x="${NAME - 8}" y="${y + 15}" text-anchor="end">${printableMarkup(name)}</text>`,
      `<rect x="${NAME}" y="${y + 3}" width="${((value / most) * room).toFixed(1)}" height="${ROW - 6}" rx="2"/>`,
      `<text x="${(NAME + 6 + (value / most) * room).toFixed(1)}" y="${y + 15}">${value}</text>`,
    ].join('');
  });
  return svg(title, WIDTH, bars.length * ROW, rows);
}

/** Vertical bars over the numbers from 0 on, `step` of them each. */
export function histogram(title: string, counts: readonly number[], step: number): string {
  const most = Math.max(1, ...counts);
  const [height, left] = [120, 30];
  const width = (WIDTH - left) / counts.length;
  const bars = counts.map((count, i) => {
    const tall = (count / most) * height;
    const x = left + i * width;
    return (
      `<rect x="${(x + 1).toFixed(1)}" y="${(height - tall).toFixed(1)}" width="${(width - 2).toFixed(1)}" ` +
      `height="${tall.toFixed(1)}"><title>${i * step} to ${(i + 1) * step - 1}: ${count}</title></rect>` +
      (i % 4 === 0
        ? `<text x="${(x + width / 2).toFixed(1)}" y="${height + 16}" text-anchor="middle">${i * step}</text>`
        : '')
    );
  });
  const scale = `<text x="0" y="12">${most}</text>`;
  return svg(title, WIDTH, height + 22, [scale, ...bars]);
}

const svg = (title: string, width: number, height: number, parts: readonly string[]): string =>
  `<svg role="img" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">` +
  `<title>${printableMarkup(title)}</title>\n${parts.join('\n')}\n</svg>`;
