/** What some layers ask of a target in one inference. Each is a sum over layers. */
export interface Work {
  /** Multiply-accumulates of the model. */
  readonly macs: number;
  /** Multiplies of the target's words: fewer than MACs where lanes are packed. */
  readonly multiplies: number;
  /** Output elements that are requantised. */
  readonly neurons: number;
  /** Stages of a pipe that it takes, where a target has such. */
  readonly stages?: number;
}

/**
 * `ns = fixedNs + macNs * macs + multiplyNs * multiplies + neuronNs * neurons + stageNs * stages`, divided by `1 - load`. Besides, each
 * packet that arrives costs `packetNs`, load or not: it is what parsing and forwarding take.
 */
export interface CostModel {
  readonly packetNs: number;
  readonly fixedNs: number;
  readonly macNs: number;
  readonly multiplyNs: number;
  readonly neuronNs: number;
  /** 0 if absent. */
  readonly stageNs?: number;
  /** Where the numbers come from, for people. */
  readonly origin: string;
}

/** Nanoseconds of one inference on a node of which the share `load` (0 up to but not 1) is taken. */
export const computeNs = (m: CostModel, w: Work, load: number): number =>
  (m.fixedNs +
    m.macNs * w.macs +
    m.multiplyNs * w.multiplies +
    m.neuronNs * w.neurons +
    (m.stageNs ?? 0) * (w.stages ?? 0)) /
  (1 - load);
