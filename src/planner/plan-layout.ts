import type { Topology } from './topology-schema.ts';

/** The upper left corner of a node's box, in pixels. */
export interface Placed {
  readonly x: number;
  readonly y: number;
}

const GAP = { x: 110, y: 46 };

/**
 * Columns by the number of links from the ingress, rows in the order of the file; shorter columns stand in the middle of the
 * longest. Nodes that no link reaches come last.
 */
export function layoutNodes(
  t: Topology,
  box: { readonly width: number; readonly height: number },
  origin: { readonly left: number; readonly top: number },
): Placed[] {
  const depth = new Map([[t.ingress, 0]]);
  const queue = [t.ingress];
  for (let name = queue.shift(); name !== undefined; name = queue.shift())
    for (const link of t.links) {
      const next = link.from === name ? link.to : link.to === name && !link.oneWay ? link.from : undefined;
      if (next === undefined || depth.has(next)) continue;
      depth.set(next, depth.get(name)! + 1);
      queue.push(next);
    }
  const last = Math.max(...depth.values()) + 1;
  const columns: number[][] = [];
  for (const [i, { name }] of t.nodes.entries()) {
    const column = depth.get(name) ?? last;
    columns[column] = [...(columns[column] ?? []), i];
  }
  const tallest = Math.max(...columns.map((c) => c.length));
  const places: Placed[] = [];
  for (const [column, members] of columns.entries())
    for (const [row, node] of members.entries()) {
      const indent = ((tallest - members.length) * (box.height + GAP.y)) / 2;
      places[node] = {
        x: origin.left + column * (box.width + GAP.x),
        y: Math.round(origin.top + indent + row * (box.height + GAP.y)),
      };
    }
  return places;
}
