import { svg } from './elements.js';
import { healthOf, keyOf, layersByNode, loadOf } from './objects.js';

/** From so many nodes on they are drawn small, without names. */
const SMALL_FROM = 120;

/** Columns by the distance from where requests come in; what no link reaches stands in columns of its own. */
function columnsOf(nodes, links, services) {
  const names = new Map(nodes.map((n) => [n.metadata.name, n]));
  const next = new Map(nodes.map((n) => [n.metadata.name, []]));
  const entered = new Set();
  for (const { spec } of links) {
    next.get(spec.from.node)?.push(spec.to.node);
    entered.add(spec.to.node);
    if (!spec.oneWay) next.get(spec.to.node)?.push(spec.from.node);
  }
  const linked = new Set(links.flatMap(({ spec }) => [spec.from.node, spec.to.node]));
  const ingress = services.map((s) => s.spec.ingress).filter((name) => linked.has(name));
  const starts = ingress.length > 0 ? ingress : [...linked].filter((name) => !entered.has(name));
  const depth = new Map();
  const visit = (name, at) => {
    let front = [name];
    for (let d = at; front.length > 0; d++) {
      front = front.filter((n) => names.has(n) && !depth.has(n));
      for (const n of front) depth.set(n, d);
      front = [...new Set(front.flatMap((n) => next.get(n)))];
    }
  };
  for (const name of starts) visit(name, 0);
  for (const name of linked) visit(name, 0);
  const columns = [];
  for (const [name, d] of depth) {
    columns[d] ??= [];
    columns[d].push(names.get(name));
  }
  const alone = nodes.filter((n) => !depth.has(n.metadata.name));
  const height = Math.max(...columns.map((c) => c?.length ?? 0), Math.ceil(Math.sqrt(alone.length / 2)), 1);
  for (let i = 0; i < alone.length; i += height) columns.push(alone.slice(i, i + height));
  return columns.filter(Boolean);
}

/** The last drawing, and the nodes in it: of thousands few change at a time. */
let last = { text: '', drawing: undefined, nodes: new Map() };

/** A drawing of nodes and links, the same element as long as nothing of it changes. Each node is a link to what is told of it. */
export function drawTopology(objects) {
  const nodes = objects.filter((o) => o.kind === 'Device' || o.kind === 'Worker');
  const links = objects.filter((o) => o.kind === 'Link');
  const services = objects.filter((o) => o.kind === 'Service');
  const columns = columnsOf(nodes, links, services);
  const isSmall = nodes.length > SMALL_FROM;
  const [width, height] = isSmall ? [18, 18] : [150, 110];
  const rows = Math.max(...columns.map((c) => c.length), 1);
  const places = new Map();
  for (const [x, column] of columns.entries())
    for (const [y, node] of column.entries())
      places.set(node.metadata.name, [(x + 0.5) * width, (y + 0.5 + (rows - column.length) / 2) * height]);
  const ends = links.flatMap(({ spec }) => {
    const [from, to] = [places.get(spec.from.node), places.get(spec.to.node)];
    return from === undefined || to === undefined ? [] : [[...from, ...to]];
  });
  const layers = isSmall ? new Map() : layersByNode(objects);
  const looks = nodes.map((node) => lookOf(node, places.get(node.metadata.name), isSmall, layers));
  const texts = looks.map((look) => JSON.stringify(look));
  const text = `${texts.join()} ${ends.join()}`;
  if (text === last.text) return last.drawing;
  const shapes = looks.map((look, i) => [texts[i], last.nodes.get(texts[i]) ?? drawNode(look)]);
  const size = [Math.max(columns.length, 1) * width, rows * height];
  const drawing = svg(
    'svg',
    {
      viewBox: `0 0 ${size[0]} ${size[1]}`,
      role: 'group',
      'aria-label': `${nodes.length} nodes, ${links.length} links`,
    },
    ...ends.map(([x1, y1, x2, y2]) => svg('line', { class: 'link', x1, y1, x2, y2 })),
    ...shapes.map(([, shape]) => shape),
  );
  last = { text, drawing, nodes: new Map(shapes) };
  return drawing;
}

/** All that a node's drawing depends on. */
function lookOf(node, [x, y], isSmall, layersByName) {
  const { kind, metadata } = node;
  const layers = layersByName.get(metadata.name) ?? [];
  const { name: health, sign, words } = healthOf(node);
  // What is drawn of a load is a bar of so many points.
  const load = Math.round(100 * Math.min(1, Math.max(0, loadOf(node))));
  const told = `${kind} ${metadata.name}: ${words}; load ${load} %${layers.length > 0 ? `; layers of ${layers.join(', ')}` : ''}`;
  return { key: keyOf(node), kind, name: metadata.name, x, y, isSmall, health, sign, load, layers, told };
}

function drawNode({ key, kind, name, x, y, isSmall, health, sign, load, layers, told }) {
  const r = isSmall ? 6 : 20;
  const shape =
    kind === 'Worker'
      ? svg('rect', { class: 'shape', x: x - r, y: y - r, width: 2 * r, height: 2 * r })
      : svg('circle', { class: 'shape', cx: x, cy: y, r });
  const parts = [svg('title', {}, told), shape];
  if (!isSmall)
    parts.push(
      svg('text', { class: 'mark', x, y: y + 4 }, sign),
      svg('text', { x, y: y - r - 8 }, name),
      svg('rect', { class: 'bar', x: x - 20, y: y + r + 6, width: 40, height: 6 }),
      svg('rect', { class: 'load', x: x - 20, y: y + r + 6, width: 0.4 * load, height: 6 }),
      svg('text', { x, y: y + r + 26 }, layers.slice(0, 2).join(', ')),
    );
  return svg('a', { href: `#${key}`, class: health, 'aria-label': told }, ...parts);
}
