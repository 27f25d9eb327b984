import { svg } from './elements.js';
import { healthOf, keyOf, layersOn, loadOf } from './objects.js';

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

/** A drawing of nodes and links. Each node is a link to what is told of it. */
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
  const lines = links.flatMap(({ spec }) => {
    const [from, to] = [places.get(spec.from.node), places.get(spec.to.node)];
    if (from === undefined || to === undefined) return [];
    return [svg('line', { class: 'link', x1: from[0], y1: from[1], x2: to[0], y2: to[1] })];
  });
  const shapes = nodes.map((node) => drawNode(node, places.get(node.metadata.name), isSmall, objects));
  const size = [Math.max(columns.length, 1) * width, rows * height];
  return svg(
    'svg',
    {
      viewBox: `0 0 ${size[0]} ${size[1]}`,
      role: 'group',
      'aria-label': `${nodes.length} nodes, ${links.length} links`,
    },
    ...lines,
    ...shapes,
  );
}

function drawNode(node, [x, y], isSmall, objects) {
  const health = healthOf(node);
  const load = Math.min(1, Math.max(0, loadOf(node)));
  const layers = isSmall ? [] : layersOn(objects, node.metadata.name);
  const words = `${node.kind} ${node.metadata.name}: ${health.words}; load ${Math.round(load * 100)} %${layers.length > 0 ? `; layers of ${layers.join(', ')}` : ''}`;
  const r = isSmall ? 6 : 20;
  const shape =
    node.kind === 'Worker'
      ? svg('rect', { class: 'shape', x: x - r, y: y - r, width: 2 * r, height: 2 * r })
      : svg('circle', { class: 'shape', cx: x, cy: y, r });
  const parts = [svg('title', {}, words), shape];
  if (!isSmall)
    parts.push(
      svg('text', { class: 'mark', x, y: y + 4 }, health.sign),
      svg('text', { x, y: y - r - 8 }, node.metadata.name),
      svg('rect', { class: 'bar', x: x - 20, y: y + r + 6, width: 40, height: 6 }),
      svg('rect', { class: 'load', x: x - 20, y: y + r + 6, width: 40 * load, height: 6 }),
      svg('text', { x, y: y + r + 26 }, layers.slice(0, 2).join(', ')),
    );
  return svg('a', { href: `#${keyOf(node)}`, class: health.name, 'aria-label': words }, ...parts);
}
