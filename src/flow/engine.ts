import type { Frame } from '../capture/index.ts';
import type { FeatureDefinition } from '../features/definition.ts';
import { FeatureExecutor, type FeatureRow, type Flow, type Outcome } from '../features/executor.ts';
import type { Model } from '../model/model.ts';
import { interpret } from '../reference/interpreter.ts';

/** Index of the class, and how far the second lies behind it: output steps, at most 255. */
export interface Verdict {
  readonly class: number;
  readonly margin: number;
}

/** A row of features and what the model says of it. */
export interface ClassifiedRow extends FeatureRow, Verdict {}

/**
 * What became of a packet, on whatever engine, as the reference has it. Of devices alone: `collided`, there was no place for
 * its flow; `cached`, its flow had a verdict already; `failed`, a part of the device was not ready.
 */
export type FlowOutcome = Outcome | 'collided' | 'cached' | 'failed';

/** One packet's end. */
export interface PacketDecision {
  readonly outcome: FlowOutcome;
  readonly rows: readonly ClassifiedRow[];
  readonly flow?: Flow;
}

/** How far a device was from the reference, over all packets. */
export interface Equality {
  readonly packets: number;
  readonly mismatches: number;
  /** The first packets that differ, for people: `frame 12: features ...`. */
  readonly examples: readonly string[];
}

/** Something that classifies the flows of captures: the reference, the kernel, a switch. */
export interface FlowEngine {
  /**
   * Runs the frames of one capture, whose flows are its own.
   * @param onPacket is given each frame's end, in order, and what a flow's end still brings as a decision without a frame
   */
  capture(
    frames: Iterable<Frame>,
    onPacket: (decision: PacketDecision, frame: Frame | undefined) => void,
  ): Promise<void>;
  /** Of a device: whether it gave what the reference gives. */
  equality?(): Equality;
  close(): Promise<void>;
}

/** Packets after which other work of the process has its turn. */
const TURN = 4096;

export function createReferenceFlowEngine(definition: FeatureDefinition, model: Model): FlowEngine {
  const verdictOf = verdicts(model);
  const classify = (row: FeatureRow): ClassifiedRow => ({ ...row, ...verdictOf(row.features) });
  return {
    async capture(frames, onPacket) {
      const executor = new FeatureExecutor(definition);
      let count = 0;
      for (const frame of frames) {
        const result = executor.frame(frame);
        onPacket({ ...result, rows: result.rows.map(classify) }, frame);
        if (++count % TURN === 0) await new Promise(setImmediate);
      }
      const rows = executor.end().map(classify);
      for (const row of rows) onPacket({ outcome: 'classified', rows: [row], flow: row.flow }, undefined);
    },
    async close() {},
  };
}

/** The reference's verdict on a row of features. @param model ends in a verdict */
export function verdicts(model: Model): (features: Uint8Array) => Verdict {
  return (features) => {
    const [index, margin] = interpret(model, features) as unknown as [number, number];
    return { class: index, margin };
  };
}
