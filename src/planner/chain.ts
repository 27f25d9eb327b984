import type { Diagnostic } from '../diagnostics/index.ts';
import type { SegmentProfile } from '../targets/profiles.ts';
import type { Machine } from './node-kinds.ts';

/** Resources that all segments of a node share, however often a packet passes: their needs add up. */
export const sharedResources = ['layers', 'memory', 'tables', 'segments'] as const;

/** A tensor between layers, as it travels. */
export interface CutTensor {
  /** Bytes of activations in a packet. */
  readonly bytes: number;
  /** `uint8[1x8x8]`. */
  readonly text: string;
}

/**
 * The model as the planner sees it: a chain of atomic blocks with a cut before, between and behind them. Cut 0 is the raw
 * input, the last one the answer.
 */
export interface Chain {
  /** Model file and name, for messages. */
  readonly file: string;
  readonly name: string;
  /** Names of all layers. */
  readonly layers: readonly string[];
  /** Index of the first layer behind each cut: ascending, from 0 to the number of layers. */
  readonly cuts: readonly number[];
  readonly tensors: readonly CutTensor[];
  /** The blocks from cut `from` up to cut `to` on this machine; @pre from < to. Called often: kept by the caller. */
  profile(machine: Machine, from: number, to: number): SegmentProfile;
  /** What the backend itself says of a segment that was chosen: reasons against it. */
  confirm(machine: Machine, from: number, to: number): readonly string[];
  /** What the backends that were asked have to say besides. */
  remarks?(): readonly Diagnostic[];
}
