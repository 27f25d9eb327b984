import { computeNs } from '../targets/cost-model.ts';
import type { SegmentProfile } from '../targets/profiles.ts';
import { HEADER_BYTES, OUTER_BYTES } from '../wire/header.ts';
import { type Chain, sharedResources } from './chain.ts';
import type { CrossingStep, Instance, InstanceObjective, SegmentStep, Violation } from './instance.ts';
import { costOf, isDevice, type Machine, machineName } from './node-kinds.ts';
import { type SegmentRules, segmentRules } from './segment-rules.ts';
import type { Objective, Topology, TopologyNode } from './topology-schema.ts';

const PS_PER_NS = 1000;
const PS_PER_US = 1_000_000;
/** Money counts in billionths. */
const NANO = 1_000_000_000;

/** Bytes of an Ethernet frame (without checksum) that carries `bytes` of activations behind `extra` bytes of headers. */
export const frameBytes = (bytes: number, extra: number): number =>
  OUTER_BYTES + extra + HEADER_BYTES + bytes;

const ETHERNET_BYTES = 14;

/** A directed link and the one in the file that it comes from. */
export interface DirectedLink {
  readonly from: number;
  readonly to: number;
  readonly file: Topology['links'][number];
}

/** An instance with the topology's links by their direction, and what it was found to lack. */
export interface BuiltInstance extends Instance {
  readonly directed: readonly DirectedLink[];
  /** Whether `confirm` of the chain has refused this segment: then with these reasons. */
  readonly refused: Map<string, readonly string[]>;
  readonly pinnedTo: SegmentRules['pinnedTo'];
}

/** Of blocks from one cut to another at a node. */
export const segmentKey = (node: number, from: number, to: number): string => `${node} ${from} ${to}`;

/** Model and topology in plain numbers. @throws DiagnosticError where a rule names layers that the model does not have */
// Long: one record is filled, field by field.
export function buildInstance(chain: Chain, t: Topology, file: string): BuiltInstance {
  const index = new Map(t.nodes.map((n, i) => [n.name, i]));
  const directed = t.links.flatMap((link): DirectedLink[] => {
    const from = index.get(link.from)!;
    const to = index.get(link.to)!;
    const there = { from, to, file: link };
    return link.oneWay ? [there] : [there, { from: to, to: from, file: link }];
  });
  const extra = t.constraints.headers.reduce((sum, h) => sum + h.bytes, 0);
  const costs = t.nodes.map(costOf);
  const rules = segmentRules(chain, t, file);
  const refused = new Map<string, readonly string[]>();
  const profiles = profileCache(chain);
  const packetPs = costs.map((c) => Math.round(c.packetNs * PS_PER_NS));

  const known = t.nodes.map(() => new Map<number, SegmentStep>());
  /** Each is asked for by every question about the plan, and the same but for what was refused since. */
  const segment = (node: number, from: number, to: number): SegmentStep => {
    const key = from * chain.cuts.length + to;
    const step = known[node]!.get(key) ?? makeSegment(node, from, to);
    known[node]!.set(key, step);
    // The key is a text, and there are millions of questions.
    const reasons = refused.size === 0 ? undefined : refused.get(segmentKey(node, from, to));
    if (reasons === undefined) return step;
    const more = reasons.map((message) => ({ constraint: 'backend', place: t.nodes[node]!.name, message }));
    return { ...step, violations: [...step.violations, ...more] };
  };
  const makeSegment = (node: number, from: number, to: number): SegmentStep => {
    const { load, price } = t.nodes[node]!;
    const { profile, usage } = profiles(t.nodes[node]!, from, to);
    const cost = costs[node]!;
    const violations = rules.violations(node, from, to, profile);
    const ps = load >= 1 ? 0 : Math.round(computeNs(cost, profile.work, load) * PS_PER_NS);
    return { ps, price: Math.round(price * NANO), violations, usage };
  };
  const crossing = (link: number, cut: number): CrossingStep => {
    const { to, file } = directed[link]!;
    const frame = frameBytes(chain.tensors[cut]!.bytes, extra);
    return {
      latencyPs: Math.round(file.latencyUs * PS_PER_US),
      // 1 Mbit/s is a bit a microsecond.
      serialisationPs: Math.round((frame * 8 * PS_PER_US) / file.bandwidthMbps),
      packetPs: packetPs[to]!,
      violations: [
        ...mtuViolation(chain, directed[link]!, t, cut, frame - ETHERNET_BYTES),
        ...rawInput(t, to, cut),
      ],
    };
  };
  const [ingress, egress] = [index.get(t.ingress)!, index.get(t.egress)!];
  const passing = t.nodes.map((n, node) => (node === ingress || node === egress ? [] : notPassing(n)));
  return {
    nodes: t.nodes.length,
    links: directed,
    directed,
    refused,
    lastCut: chain.cuts.length - 1,
    ingress,
    egress,
    entry: {
      latencyPs: 0,
      serialisationPs: 0,
      packetPs: packetPs[ingress]!,
      violations: rawInput(t, ingress, 0),
    },
    capacities: rules.capacities,
    pinnedTo: rules.pinnedTo,
    segment,
    crossing,
    passing: (node) => passing[node]!,
    objective: objectiveOf(t.objective),
  };
}

const objectiveOf = (o: Objective): InstanceObjective =>
  o.minimise === 'latency' ? o : { minimise: 'cost', boundPs: Math.round(o.latencyUs * PS_PER_US) };

interface Profiled {
  readonly profile: SegmentProfile;
  /** In the order of `sharedResources`. */
  readonly usage: readonly number[];
}

/** Each machine and segment is profiled once, however many nodes are alike. */
function profileCache(chain: Chain): (machine: Machine, from: number, to: number) => Profiled {
  const known = new Map<string, (Profiled | undefined)[]>();
  const width = chain.cuts.length;
  const make = (machine: Machine, from: number, to: number): Profiled => {
    const profile = chain.profile(machine, from, to);
    const usage = sharedResources.map((resource) =>
      resource === 'layers'
        ? chain.cuts[to]! - chain.cuts[from]!
        : resource === 'segments'
          ? 1
          : (profile.needs.find((n) => n.resource === resource)?.need ?? 0),
    );
    return { profile, usage };
  };
  return (machine, from, to) => {
    const name = machineName(machine);
    const table = known.get(name) ?? [];
    if (table.length === 0) known.set(name, table);
    const index = from * width + to;
    const profiled = table[index] ?? make(machine, from, to);
    table[index] = profiled;
    return profiled;
  };
}

function mtuViolation(chain: Chain, link: DirectedLink, t: Topology, cut: number, need: number): Violation[] {
  const limit = link.file.mtu;
  if (need <= limit) return [];
  const place = `${t.nodes[link.from]!.name} -> ${t.nodes[link.to]!.name}`;
  const message = `${tensorName(chain, cut)} makes a packet of ${need} bytes, the MTU of ${place} is ${limit}: ${need - limit} too many`;
  return [{ constraint: 'mtu', place, message, need, limit, unit: 'bytes' }];
}

/** Cut 0 is the raw input: it may be only where its zone is. */
function rawInput(t: Topology, node: number, cut: number): Violation[] {
  const zones = t.constraints.rawInput;
  const { name, zone } = t.nodes[node]!;
  if (cut > 0 || zones === undefined || zones.includes(zone)) return [];
  const message = `the raw input must stay in zone ${zones.join(' or ')}, and ${name} is in zone ${zone}`;
  return [{ constraint: 'raw input', place: name, message }];
}

/** Whoever stands in the way of packets is a device; workers and edges compute, or are where it begins or ends. */
function notPassing({ name, kind }: TopologyNode): Violation[] {
  if (isDevice(kind)) return [];
  const message = `${name} is no device: it passes on no packet of which it computes nothing`;
  return [{ constraint: 'forwarding', place: name, message }];
}

/** `the raw input uint8[64]`, `the output of layer "conv1" uint8[8x8x8]`. */
export function tensorName(chain: Chain, cut: number): string {
  const layer = chain.cuts[cut]!;
  const what = layer === 0 ? 'the raw input' : `the output of layer "${chain.layers[layer - 1]}"`;
  return `${what} ${chain.tensors[cut]!.text}`;
}
