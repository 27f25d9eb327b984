import type { PlacedService } from './goals.ts';
import type { ManagedNode } from './node.ts';

/** Services that share nodes are brought on together. */
export function groupsOf(
  placed: readonly PlacedService[],
  nodesOf: (service: PlacedService) => readonly ManagedNode[],
): readonly { readonly nodes: readonly ManagedNode[]; readonly drainMs: number }[] {
  let groups: { readonly nodes: readonly ManagedNode[]; readonly drainMs: number }[] = [];
  for (const service of placed) {
    const own = new Set(nodesOf(service));
    const touched = groups.filter((g) => g.nodes.some((n) => own.has(n)));
    for (const { nodes } of touched) for (const node of nodes) own.add(node);
    const drainMs = Math.max(service.wanted.drainMs, ...touched.map((g) => g.drainMs));
    groups = [...groups.filter((g) => !touched.includes(g)), { nodes: [...own], drainMs }];
  }
  return groups;
}
