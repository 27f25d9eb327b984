import { printableMarkup } from '../diagnostics/index.ts';
import { svgText } from '../svg-text.ts';
import { nodeKinds, nodeModel } from './node-kinds.ts';
import type { PlannedCrossing, PlannedSegment, PlanReport } from './plan.ts';
import { layoutNodes, type Placed } from './plan-layout.ts';
import type { Topology } from './topology-schema.ts';

const BOX = { width: 250, height: 90 };
const MARGIN = 30;
const HEAD = 84;
/** Characters that a line of a box holds in its two weights. */
const LINE = 39;
const BOLD_LINE = 34;

const text = (x: number, y: number, content: string, attributes = ''): string =>
  svgText(Math.round(x), Math.round(y), content, attributes);

const shorten = (s: string, most: number): string => (s.length <= most ? s : `${s.slice(0, most - 1)}…`);

/** The network with the walk through it: what each node computes, and what crosses each link. */
export function planSvg(t: Topology, report: PlanReport): string {
  const places = layoutNodes(t, BOX, { left: MARGIN, top: HEAD });
  const width = Math.max(620, ...places.map((p) => p.x + BOX.width + MARGIN));
  const height = Math.max(...places.map((p) => p.y + BOX.height)) + 78;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
      'font-family="sans-serif" font-size="12" fill="#222">',
    '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse">' +
      '<path d="M0 0L10 5L0 10z" fill="#1f6fb2"/></marker></defs>',
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...heading(report),
    ...links(t, report, places),
    ...t.nodes.map((_, i) => nodeBox(t, report, i, places[i]!)),
    ...legend(height - 26),
    '</svg>',
  ].join('\n')}\n`;
}

function heading(r: PlanReport): string[] {
  const title = text(
    MARGIN,
    30,
    `${r.model.name} on ${r.topology.name}`,
    'font-size="17" font-weight="bold"',
  );
  if (r.totals === undefined) {
    const why = shorten(`no plan: ${r.refusals[0]?.message ?? 'none was found'}`, 100);
    return [title, text(MARGIN, 54, why, 'fill="#c0392b" font-size="13"')];
  }
  const t = r.totals;
  const parts = `compute ${us(t.computeUs)}, links ${us(t.linkUs)}, serialisation ${us(t.serialisationUs)}, packets ${us(t.packetUs)}`;
  const price = t.price > 0 ? `, price ${t.price}` : '';
  return [
    title,
    text(MARGIN, 52, `${us(t.latencyUs)} us end to end${price}`, 'font-size="13"'),
    text(MARGIN, 68, parts, 'fill="#666" font-size="11"'),
  ];
}

const us = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(3);

/** All links in grey; what crosses them in blue, one arrow a crossing, with the tensor's bytes beside it. */
function links(t: Topology, r: PlanReport, places: readonly Placed[]): string[] {
  const at = (name: string) => places[t.nodes.findIndex((n) => n.name === name)]!;
  const grey = t.links.map((l) => {
    const [a, b] = ends(at(l.from), at(l.to), 0);
    return `<line x1="${a.x}" y1="${a.y}" x2="${b.x}" y2="${b.y}" stroke="#c8c8c8" stroke-width="1.5"${l.oneWay ? ' stroke-dasharray="5 3"' : ''}/>`;
  });
  const crossings = r.steps.filter((s): s is PlannedCrossing => s.step === 'cross');
  const seen = new Map<string, number>();
  const blue = crossings.flatMap((c, i) => {
    const pair = [c.from, c.to].sort().join(' ');
    const before = seen.get(pair) ?? 0;
    seen.set(pair, before + 1);
    const [a, b] = ends(at(c.from), at(c.to), before === 0 ? 0 : 7 * Math.ceil(before / 2) + 7);
    const [x, y] = [(a.x + b.x) / 2, (a.y + b.y) / 2];
    const label = `${i + 1}: ${c.bytes} B`;
    const labelWidth = 6.4 * label.length + 8;
    const labelY = y + (before === 0 ? 0 : 16 * before);
    return [
      `<line x1="${a.x}" y1="${a.y}" x2="${b.x}" y2="${b.y}" stroke="#1f6fb2" stroke-width="2.5" marker-end="url(#arrow)"/>`,
      `<rect x="${Math.round(x - labelWidth / 2)}" y="${Math.round(labelY - 9)}" width="${Math.round(labelWidth)}" height="16" rx="4" fill="#fff" stroke="#1f6fb2" stroke-width="0.8"/>`,
      text(x, labelY + 3, label, 'text-anchor="middle" font-size="11" fill="#1f6fb2"'),
    ];
  });
  return [...grey, ...blue];
}

/** Where the line between the middles of two boxes leaves the one and meets the other, moved sideways by `aside`. */
function ends(from: Placed, to: Placed, aside: number): [Placed, Placed] {
  const middle = (p: Placed) => ({ x: p.x + BOX.width / 2, y: p.y + BOX.height / 2 });
  const [a, b] = [middle(from), middle(to)];
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = Math.hypot(dx, dy) || 1;
  const share = 1 / Math.max(Math.abs(dx) / (BOX.width / 2), Math.abs(dy) / (BOX.height / 2));
  const [sx, sy] = [(-dy / length) * aside, (dx / length) * aside];
  const point = (p: Placed, sign: number) => ({
    x: Math.round(p.x + sign * dx * share + sx),
    y: Math.round(p.y + sign * dy * share + sy),
  });
  return [point(a, 1), point(b, -1)];
}

/** What a node computes, by itself or as one of several. */
const segmentsOn = (r: PlanReport, name: string): readonly Pick<PlannedSegment, 'layers' | 'us'>[] =>
  r.steps.flatMap((s) => {
    if (s.step !== 'compute') return [];
    if (s.node === name) return [s];
    const replica = s.replicas?.find(({ node }) => node === name);
    return replica === undefined ? [] : [{ layers: s.layers, us: replica.us }];
  });

function nodeBox(t: Topology, r: PlanReport, index: number, { x, y }: Placed): string {
  const { name, kind, zone, load } = t.nodes[index]!;
  const explanation = r.nodes[index]!;
  const segments = segmentsOn(r, name);
  const active = segments.length > 0;
  const passed = explanation.role === 'forwards';
  const stroke = active ? '#1f6fb2' : passed ? '#7aa7d0' : '#c8c8c8';
  const ends = [name === t.ingress && 'ingress', name === t.egress && 'egress']
    .filter((s) => s !== false)
    .join(', ');
  const lines = segments.map((s) => `${s.layers.from}..${s.layers.to} ${s.layers.names.join(', ')}`);
  const time = segments.reduce((sum, s) => sum + s.us, 0);
  const grey = 'fill="#666" font-size="11"';
  return [
    `<g><title>${printableMarkup(explanation.reason)}</title>`,
    `<rect x="${x}" y="${y}" width="${BOX.width}" height="${BOX.height}" rx="7" fill="${active ? nodeModel(kind).colour : '#fafafa'}" stroke="${stroke}" stroke-width="${active ? 2.2 : 1.2}"/>`,
    text(x + 10, y + 18, shorten(name, 20), `font-weight="bold"${active || passed ? '' : ' fill="#999"'}`),
    text(x + BOX.width - 10, y + 18, ends, 'text-anchor="end" fill="#1f6fb2" font-size="11"'),
    text(x + 10, y + 33, shorten(`${kind} in ${zone}${load > 0 ? `, load ${load}` : ''}`, LINE), grey),
    active
      ? text(x + 10, y + 50, shorten(lines.join('; '), BOLD_LINE), 'font-weight="bold" font-size="11"')
      : text(x + 10, y + 50, passed ? 'forwards' : 'not used', 'fill="#999" font-size="11"'),
    ...(active ? [`${us(time)} us`, explanation.reason] : twoLines(explanation.reason)).map((line, i) =>
      text(x + 10, y + 66 + 15 * i, shorten(line, LINE), grey),
    ),
    '</g>',
  ].join('');
}

/** Breaks a sentence at the last blank that fits the first line. */
function twoLines(sentence: string): string[] {
  if (sentence.length <= LINE) return [sentence];
  const at = sentence.lastIndexOf(' ', LINE);
  return at <= 0 ? [sentence] : [sentence.slice(0, at), sentence.slice(at + 1)];
}

function legend(y: number): string[] {
  return nodeKinds().flatMap((kind, i) => [
    `<rect x="${MARGIN + i * 92}" y="${y - 11}" width="14" height="14" rx="3" fill="${nodeModel(kind).colour}" stroke="#bbb"/>`,
    text(MARGIN + i * 92 + 20, y, kind, 'font-size="11" fill="#666"'),
  ]);
}
