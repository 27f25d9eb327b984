/**
 * The optimisation problem in plain numbers: what is left of model and topology once costs and rules are worked out. Times
 * are whole picoseconds and money whole nano-units, so that sums are exact, equal plans are found equal, and a bound is
 * met or not whatever the order of summation. A double holds 9,007 s in picoseconds.
 */

/** Why a step may not be taken, and by how much it fails. */
export interface Violation {
  /** The rule or resource, for example `mtu`, `raw input`, `memory`. */
  readonly constraint: string;
  /** Node or link. */
  readonly place: string;
  readonly layer?: string;
  /** The whole sentence. */
  readonly message: string;
  readonly need?: number;
  readonly limit?: number;
  readonly unit?: string;
}

/** A node computing the blocks from one cut to another on one visit. */
export interface SegmentStep {
  readonly ps: number;
  readonly price: number;
  readonly violations: readonly Violation[];
  /** What it takes of the node's shared capacities, in their order. */
  readonly usage: readonly number[];
}

/** A packet crossing a link. */
export interface CrossingStep {
  readonly latencyPs: number;
  readonly serialisationPs: number;
  /** The receiving node's cost of any packet. */
  readonly packetPs: number;
  readonly violations: readonly Violation[];
}

/** The search problem in whole numbers: nodes and cuts by index, times in picoseconds. */
export interface Instance {
  readonly nodes: number;
  /** Directed. */
  readonly links: readonly { readonly from: number; readonly to: number }[];
  /** Index of the last cut: all is computed. */
  readonly lastCut: number;
  readonly ingress: number;
  readonly egress: number;
  /** What the packet costs before its first step: the ingress receives it. */
  readonly entry: CrossingStep;
  /** Capacities that all segments of a node share; one list, in the same order for each node. */
  capacities(node: number): readonly number[];
  /** @pre from < to */
  segment(node: number, from: number, to: number): SegmentStep;
  crossing(link: number, cut: number): CrossingStep;
  /** What keeps a node from passing on packets of which it computes nothing. */
  passing(node: number): readonly Violation[];
  readonly objective: InstanceObjective;
}

/** What is made least; cost within a bound of time. */
export type InstanceObjective =
  | { readonly minimise: 'latency' }
  | { readonly minimise: 'cost'; readonly boundPs: number };

/** The whole of a crossing, in picoseconds. */
export const crossingPs = (c: CrossingStep): number => c.latencyPs + c.serialisationPs + c.packetPs;

/** One step of a walk. Forwarding is no step: a node between two links that computes nothing. */
export type Step =
  | { readonly kind: 'compute'; readonly node: number; readonly from: number; readonly to: number }
  | { readonly kind: 'cross'; readonly link: number; readonly cut: number };

/** A walk from ingress to egress on which every block is computed once, and in order. */
export interface Walk {
  readonly steps: readonly Step[];
  readonly ps: number;
  readonly price: number;
}
