import type { Model } from '../model/model.ts';
import { inputType, macs } from '../model/model.ts';
import { formatTensorType } from '../model/tensor.ts';
import { svgText as text } from '../svg-text.ts';

/** A bar: how much of a limit is needed. */
export interface Bar {
  readonly label: string;
  readonly need: number;
  readonly limit: number;
  readonly unit: string;
}

const WIDTH = 800;
const ROW = 56;
const BAR = 26;
const MARGIN = 20;
const BAR_AT = 330;
const BAR_WIDTH = 220;

/** The layers from input to output, how each is computed, and what the program needs of each limit. */
export function inspectionSvg(
  model: Model,
  target: string,
  how: readonly string[],
  bars: readonly Bar[],
): string {
  const layersTop = 60;
  const barsTop = layersTop + model.layers.length * ROW + 40;
  const height = barsTop + bars.length * BAR + MARGIN;
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" ` +
      'font-family="sans-serif" font-size="13" fill="#222">',
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    text(MARGIN, 28, `${model.name} on ${target}`, 'font-size="17" font-weight="bold"'),
    text(MARGIN, 48, `input ${formatTensorType(model.input)}`, 'fill="#666"'),
  ];
  model.layers.forEach((layer, i) => {
    const y = layersTop + i * ROW;
    const left = how[i] === undefined || how[i]!.startsWith('left');
    out.push(
      `<rect x="${MARGIN}" y="${y}" width="${WIDTH - 2 * MARGIN}" height="${ROW - 12}" rx="6" fill="${left ? '#f3f3f3' : '#e7f0fb'}" stroke="#9bb7d8"/>`,
      text(MARGIN + 12, y + 19, `${i}  ${layer.name}`, 'font-weight="bold"'),
      text(
        MARGIN + 12,
        y + 36,
        `${layer.kind}: ${formatTensorType(inputType(model, layer))} → ${formatTensorType(layer.output)}`,
      ),
      text(WIDTH - MARGIN - 12, y + 19, `${macs(model, layer)} MACs`, 'text-anchor="end" fill="#666"'),
      text(WIDTH - MARGIN - 12, y + 36, how[i] ?? '', 'text-anchor="end"'),
    );
  });
  bars.forEach((bar, i) => {
    const y = barsTop + i * BAR;
    const share = Math.min(1, bar.need / bar.limit);
    const colour = bar.need > bar.limit ? '#c0392b' : share > 0.8 ? '#d68910' : '#2e86c1';
    out.push(
      text(MARGIN, y + 13, bar.label),
      `<rect x="${BAR_AT}" y="${y + 2}" width="${BAR_WIDTH}" height="14" fill="#eee"/>`,
      `<rect x="${BAR_AT}" y="${y + 2}" width="${Math.max(1, Math.round(share * BAR_WIDTH))}" height="14" fill="${colour}"/>`,
      text(BAR_AT + BAR_WIDTH + 10, y + 13, `${bar.need} of ${bar.limit} ${bar.unit}`, 'font-size="11"'),
    );
  });
  return `${[...out, '</svg>'].join('\n')}\n`;
}
