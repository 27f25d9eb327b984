import { printableMarkup } from '../../diagnostics/index.ts';
import { stageLimits } from './chips.ts';
import type { TnaPlan } from './plan.ts';
import type { Gress } from './units.ts';

/** A point of the curve of entries against agreement. */
export interface CurvePoint {
  readonly entries: number;
  readonly agreement: number;
  readonly accuracy?: number;
  /** Whether such a network fits the chip. */
  readonly fits: boolean;
}

const WIDTH = 1000;
const LEFT = 90;
const ROW = 15;
const CURVE_HEIGHT = 220;

const text = (x: number, y: number, content: string, more = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${printableMarkup(content)}</text>`;
const rectangle = (x: number, y: number, width: number, height: number, fill: string): string =>
  `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" fill="${fill}" stroke="#999"/>`;

/** The stages of both gresses with their tables, how full the bus of each is, and the curve if there is one. */
export function tnaSvg(plan: TnaPlan, curve: readonly CurvePoint[]): string {
  const { schedule, chip, model } = plan;
  const count = Math.max(chip.stages, schedule.uses.length);
  const cell = (WIDTH - LEFT - 20) / count;
  const out: string[] = [];
  const rows = (gress: Gress) =>
    Math.max(1, ...Array.from({ length: count }, (_, s) => tablesAt(plan, gress, s).length));
  let y = 60;
  out.push(text(20, 30, `${model.name} on ${chip.describe}`, 'font-size="17" font-weight="bold"'));
  for (const gress of ['ingress', 'egress'] as const) {
    out.push(text(20, y + 12, gress));
    for (let stage = 0; stage < count; stage++) {
      const x = LEFT + stage * cell;
      if (stage >= chip.stages) out.push(rectangle(x, y - 4, cell, rows(gress) * ROW + 8, '#f8d7da'));
      for (const [i, name] of tablesAt(plan, gress, stage).entries())
        out.push(
          rectangle(x + 1, y + i * ROW, cell - 2, ROW - 2, name.startsWith('layer') ? '#dcedc8' : '#e7f0fb'),
          text(x + 3, y + i * ROW + 9, name.replace('sums_', ''), 'font-size="8"'),
        );
    }
    y += rows(gress) * ROW + 20;
  }
  out.push(text(20, y + 14, 'action bus'));
  for (let stage = 0; stage < count; stage++) {
    const share = (schedule.uses[stage]?.busBytes ?? 0) / stageLimits.busBytes;
    const x = LEFT + stage * cell;
    out.push(
      rectangle(x + 1, y, cell - 2, 20, '#fff'),
      rectangle(x + 1, y + 20 * (1 - share), cell - 2, 20 * share, '#2e86c1'),
    );
    out.push(text(x + cell / 2, y + 34, `${stage}`, 'font-size="9" text-anchor="middle"'));
  }
  y += 60;
  if (curve.length > 0) {
    out.push(...curveOf(curve, y));
    y += CURVE_HEIGHT + 60;
  }
  const head =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}" ` +
    'font-family="sans-serif" font-size="12" fill="#222">';
  return `${[head, `<rect width="${WIDTH}" height="${y}" fill="#fff"/>`, ...out, '</svg>'].join('\n')}\n`;
}

const tablesAt = ({ schedule }: TnaPlan, gress: Gress, stage: number): string[] =>
  schedule.placed.filter((s) => s.gress === gress && s.stage === stage).map((s) => s.name);

/** Entries on a logarithmic axis; agreement, and accuracy where it is known, from the least point to 1. */
function curveOf(curve: readonly CurvePoint[], top: number): string[] {
  const logs = curve.map((p) => Math.log2(p.entries));
  const [lo, hi] = [Math.min(...logs), Math.max(...logs)];
  const least = Math.min(...curve.flatMap((p) => [p.agreement, p.accuracy ?? 1]));
  const x = (entries: number) =>
    LEFT + ((Math.log2(entries) - lo) / Math.max(1e-9, hi - lo)) * (WIDTH - LEFT - 60);
  const y = (share: number) => top + 20 + ((1 - share) / Math.max(1e-9, 1 - least)) * (CURVE_HEIGHT - 20);
  const line = (of: (p: CurvePoint) => number | undefined, colour: string, name: string): string[] => {
    const points = curve.flatMap((p) => {
      const share = of(p);
      return share === undefined ? [] : [{ x: x(p.entries), y: y(share), share, entries: p.entries }];
    });
    if (points.length === 0) return [];
    const path = points.map((p) => `${p.x.toFixed(1)},${p.y.toFixed(1)}`).join(' ');
    return [
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...points.map((p) => text(p.x - 12, p.y - 6, p.share.toFixed(3), `font-size="10" fill="${colour}"`)),
      text(20, points[0]!.y, name, `fill="${colour}"`),
    ];
  };
  return [
    text(20, top, 'entries of a version, and what the approximated network keeps', 'font-weight="bold"'),
    ...line((p) => p.agreement, '#2e86c1', 'agreement'),
    ...line((p) => p.accuracy, '#b9770e', 'accuracy'),
    ...curve.flatMap((p) => [
      text(x(p.entries) - 14, top + CURVE_HEIGHT + 30, `${p.entries}`, 'font-size="10"'),
      ...(p.fits
        ? []
        : [text(x(p.entries) - 14, top + CURVE_HEIGHT + 43, 'does not fit', 'font-size="9" fill="#c0392b"')]),
    ]),
  ];
}
