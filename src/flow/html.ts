import { printableMarkup } from '../diagnostics/index.ts';
import { classCell, className, type FlowReport, flowCells, seconds } from './report.ts';
import type { Score } from './score.ts';
import { barChart, histogram } from './svg.ts';

/** Steps of the margin that one bar of its histogram stands for. */
const MARGIN_STEP = 8;

/** Flows that the table shows; a browser takes no pleasure in more. */
const MOST_FLOWS = 5000;

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --bar: #3b78b5; --hit: 59 120 181; --miss: 190 70 60; }
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .charts { display: flex; flex-wrap: wrap; gap: 2rem; }
svg { max-width: 100%; height: auto; font-size: 12px; fill: currentColor; } svg rect { fill: var(--bar); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .2rem .6rem; text-align: left; white-space: nowrap; }
td.n, th.n { text-align: right; } thead th { position: sticky; top: 0; background: Canvas; }
.scroll { overflow: auto; max-height: 70vh; border: 1px solid var(--line); } tr.wrong td { background: rgb(var(--miss) / .15); }
`;

/** The report as one page that asks nobody for anything: no script, no font, no picture from elsewhere. */
export function reportHtml(r: FlowReport): string {
  const title = `${r.model}: flows by class`;
  return `${[
    '<!DOCTYPE html>',
    '<html lang="en"><head><meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${printableMarkup(title)}</title><style>${STYLE}</style></head><body>`,
    `<h1>${printableMarkup(title)}</h1>`,
    ...summary(r).map((line) => `<p>${printableMarkup(line)}</p>`),
    '<h2>Flows</h2>',
    `<div class="charts"><div><p>by class</p>${barChart('Flows by class', classBars(r))}</div>`,
    `<div><p>by margin of the verdict</p>${histogram('Flows by margin', margins(r), MARGIN_STEP)}</div>`,
    `<div><p>packets by what became of them</p>${barChart('Packets by outcome', outcomeBars(r))}</div></div>`,
    ...(r.labels
      ? [...scored('By flow', r, r.labels.flows), ...scored('By verdict', r, r.labels.verdicts)]
      : []),
    '<h2>All flows</h2>',
    ...flowTable(r),
    '</body></html>',
  ].join('\n')}\n`;
}

function summary(r: FlowReport): readonly string[] {
  return [
    `Features ${r.definition}, on ${r.on}: ${r.flows.length} flows, ${r.frames} frames, ${r.verdicts} verdicts`,
    `Captures: ${r.captures.join(', ')}`,
    ...(r.equality
      ? [`Against the reference: ${r.equality.packets} packets, ${r.equality.mismatches} mismatches`]
      : []),
    ...(r.labels
      ? [
          `Macro-F1 ${r.labels.flows.macroF1.toFixed(3)}, accuracy ${r.labels.flows.accuracy.toFixed(3)} of ` +
            `${r.labels.flows.count} flows with a label`,
        ]
      : []),
  ];
}

const classBars = (r: FlowReport) =>
  Array.from({ length: r.classCount }, (_, i) => ({
    name: className(r.names, i),
    value: r.flows.filter((f) => f.verdict?.class === i).length,
  }));

const outcomeBars = (r: FlowReport) =>
  Object.entries(r.outcomes)
    .filter(([, value]) => value > 0)
    .map(([name, value]) => ({ name, value }));

function margins(r: FlowReport): readonly number[] {
  const counts = new Array<number>(256 / MARGIN_STEP).fill(0);
  for (const { verdict } of r.flows)
    if (verdict !== undefined) counts[Math.floor(verdict.margin / MARGIN_STEP)]!++;
  const last = counts.findLastIndex((count) => count > 0);
  return counts.slice(0, Math.max(8, last + 1));
}

type Cell = string | number;

const row = (cells: readonly Cell[], tag = 'td', attributes: (i: number) => string = () => ''): string =>
  `<tr>${cells
    .map(
      (c, i) =>
        `<${tag}${typeof c === 'number' ? ' class="n"' : ''}${attributes(i)}>${printableMarkup(String(c))}</${tag}>`,
    )
    .join('')}</tr>`;

function scored(title: string, r: FlowReport, s: Score): readonly string[] {
  const names = Array.from({ length: r.classCount }, (_, i) => className(r.names, i));
  const shade = (line: readonly number[], k: number, i: number) => {
    const share =
      line[i]! /
      Math.max(
        1,
        line.reduce((a, b) => a + b, 0),
      );
    return share === 0
      ? ''
      : ` style="background: rgb(var(--${i === k ? 'hit' : 'miss'}) / ${share.toFixed(2)})"`;
  };
  return [
    `<h2>${printableMarkup(title)}: label against class</h2>`,
    `<p>${s.correct} of ${s.count} right; macro-F1 ${s.macroF1.toFixed(3)}</p>`,
    '<div class="scroll"><table><thead>',
    row(['label \\ class', ...names, 'precision', 'recall', 'F1'], 'th'),
    '</thead><tbody>',
    ...s.confusion.map((line, k) => {
      const c = s.classes[k]!;
      const cells = [names[k]!, ...line, ...[c.precision, c.recall, c.f1].map((v) => v.toFixed(3))];
      return row(cells, 'td', (i) => (i >= 1 && i <= line.length ? shade(line, k, i - 1) : ''));
    }),
    '</tbody></table></div>',
  ];
}

function flowTable(r: FlowReport): readonly string[] {
  const shown = r.flows.slice(0, MOST_FLOWS);
  const more = r.flows.length - shown.length;
  const head = ['capture', 'flow', 'transport', 'client', 'server', 'packets', 'seconds', 'class', 'margin'];
  return [
    '<div class="scroll"><table><thead>',
    row([...head, ...(r.labels ? ['label'] : [])], 'th'),
    '</thead><tbody>',
    ...shown.map((f) => {
      const wrong = f.label !== undefined && f.verdict !== undefined && f.label !== f.verdict.class;
      const cells = [
        ...flowCells(f),
        seconds(f.seenNs - f.begunNs),
        classCell(r, f.verdict?.class),
        f.verdict?.margin ?? '',
        ...(r.labels ? [classCell(r, f.label)] : []),
      ];
      return wrong ? row(cells).replace('<tr>', '<tr class="wrong">') : row(cells);
    }),
    '</tbody></table></div>',
    ...(more > 0 ? [`<p>${more} flows more; --csv writes all.</p>`] : []),
  ];
}
