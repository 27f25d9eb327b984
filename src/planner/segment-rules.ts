import { DiagnosticError } from '../diagnostics/index.ts';
import type { SegmentProfile } from '../targets/profiles.ts';
import { type Chain, sharedResources } from './chain.ts';
import type { Violation } from './instance.ts';
import { nodeModel } from './node-kinds.ts';
import { topologyFault } from './topology.ts';
import type { Topology, TopologyNode } from './topology-schema.ts';

/** What nodes can do, and what the file forbids. */
export interface SegmentRules {
  /** All that keeps a node from computing the blocks from one cut to another on one visit. */
  violations(node: number, from: number, to: number, profile: SegmentProfile): Violation[];
  /** Names of nodes to which rules pin some of these blocks; undefined where none does. */
  pinnedTo(from: number, to: number): readonly string[] | undefined;
  /** In the order of `sharedResources`; what is not limited is infinite. */
  capacities(node: number): readonly number[];
}

/** @throws DiagnosticError `json-field` where a rule names layers that the model does not have */
export function segmentRules(chain: Chain, t: Topology, file: string): SegmentRules {
  const rules = t.constraints.layers.map((rule, i) => ({
    ...rule,
    layers: layersOf(chain, rule.layers, file, i),
  }));
  const capacities = t.nodes.map((node) =>
    sharedResources.map((r) => limitOf(t, node, r) ?? Number.POSITIVE_INFINITY),
  );
  const bars = t.nodes.map((node) => generalBars(t, node));
  const limits = t.nodes.map((node) => {
    const known = new Map<string, number | undefined>();
    return (resource: string): number | undefined => {
      if (!known.has(resource)) known.set(resource, limitOf(t, node, resource));
      return known.get(resource);
    };
  });
  return {
    pinnedTo(from, to) {
      const [first, end] = [chain.cuts[from]!, chain.cuts[to]!];
      const pins = rules.flatMap(({ nodes, layers }) =>
        nodes !== undefined && layers.some((l) => l >= first && l < end) ? [nodes] : [],
      );
      return pins.length === 0 ? undefined : pins.reduce((a, b) => a.filter((name) => b.includes(name)));
    },
    capacities: (node) => capacities[node]!,
    violations(node, from, to, profile) {
      const n = t.nodes[node]!;
      const found = [...bars[node]!];
      for (const message of profile.unsupported)
        found.push({ constraint: 'unsupported', place: n.name, message });
      const [first, end] = [chain.cuts[from]!, chain.cuts[to]!];
      for (const rule of rules) {
        const layer = rule.layers.find((l) => l >= first && l < end);
        if (layer !== undefined) found.push(...ruleViolations(rule, n, chain.layers[layer]!));
      }
      for (const need of profile.needs) {
        const limit = limits[node]!(need.resource) ?? need.limit;
        if (limit !== undefined && need.need > limit) found.push(exceeded(n, { ...need, limit }));
      }
      const most = capacities[node]![LAYERS]!;
      if (end - first > most)
        found.push(exceeded(n, { resource: 'layers', need: end - first, limit: most, unit: '' }));
      return found;
    },
  };
}

const LAYERS = sharedResources.indexOf('layers');

/** What the topology says of a resource of a node. */
function limitOf(t: Topology, node: TopologyNode, resource: string): number | undefined {
  if (resource === 'memory') return node.memory ?? node.limits.memory;
  if (resource === 'segments') return node.limits.segments ?? nodeModel(node.kind).segments;
  if (resource !== 'layers') return node.limits[resource];
  const limits = [node.maxLayers, t.constraints.maxLayers].filter((n) => n !== undefined);
  return limits.length === 0 ? undefined : Math.min(...limits);
}

/** Reasons against any layer at all on this node. */
function generalBars(t: Topology, node: TopologyNode): Violation[] {
  const bar = (constraint: string, message: string) => ({ constraint, place: node.name, message });
  const bars = t.constraints.headers
    .filter((header) => !node.headers.includes(header.name))
    .map((header) =>
      bar('header', `${node.name} does not parse the header ${header.name} that packets carry`),
    );
  if (node.load >= 1) bars.push(bar('load', `${node.name} is fully loaded`));
  return bars;
}

function ruleViolations(
  rule: { readonly zones?: readonly string[] | undefined; readonly nodes?: readonly string[] | undefined },
  node: TopologyNode,
  layer: string,
): Violation[] {
  const at = { place: node.name, layer };
  const found: Violation[] = [];
  if (rule.zones !== undefined && !rule.zones.includes(node.zone)) {
    const message = `layer "${layer}" may run in zone ${rule.zones.join(' or ')}, and ${node.name} is in zone ${node.zone}`;
    found.push({ ...at, constraint: 'zone', message });
  }
  if (rule.nodes !== undefined && !rule.nodes.includes(node.name)) {
    const message = `layer "${layer}" is pinned to ${rule.nodes.join(' or ')}, not to ${node.name}`;
    found.push({ ...at, constraint: 'pin', message });
  }
  return found;
}

/** A need above a limit, in the words of a message. */
export function exceeded(
  node: TopologyNode,
  n: { resource: string; need: number; limit: number; unit: string; layer?: string },
): Violation {
  const unit = n.unit === n.resource || n.unit === '' ? '' : ` ${n.unit}`;
  const who = n.layer === undefined ? '' : `layer "${n.layer}": `;
  const message = `${who}${n.resource} on ${node.name}: needs ${n.need}${unit}, limit ${n.limit}, ${n.need - n.limit} too many`;
  const { need, limit } = n;
  return {
    constraint: n.resource,
    place: node.name,
    message,
    need,
    limit,
    unit: n.unit,
    ...(n.layer !== undefined && { layer: n.layer }),
  };
}

/** Indices of the layers that a rule names, each by its name or within a range `A..B`. */
function layersOf(chain: Chain, given: string | readonly string[], file: string, rule: number): number[] {
  const names = typeof given === 'string' ? [given] : given;
  return names.flatMap((text, i) => {
    const named = chain.layers.indexOf(text);
    if (named >= 0) return [named];
    const range = /^(\d+)\.\.(\d+)$/.exec(text);
    const [from, to] = [Number(range?.[1]), Number(range?.[2])];
    if (range !== null && from < to && to <= chain.layers.length)
      return Array.from({ length: to - from }, (_, k) => from + k);
    const path = ['constraints', 'layers', rule, 'layers', ...(typeof given === 'string' ? [] : [i])];
    const expected = `${text} is no layer of ${chain.name}: expected one of ${chain.layers.join(', ')}, or a range within 0..${chain.layers.length}`;
    throw new DiagnosticError([topologyFault(file, path, expected)]);
  });
}
