import type { Frame } from '../capture/index.ts';
import type { FeatureDefinition } from '../features/definition.ts';
import {
  FeatureExecutor,
  type FeatureRow,
  type Flow,
  type ForgottenFlow,
  type Outcome,
  type PacketResult,
} from '../features/executor.ts';
import type { Model } from '../model/model.ts';
import { interpret } from '../reference/interpreter.ts';
import { AskedFlows, type Escalation } from './escalation.ts';
import type { Verdict } from './verdict.ts';

export type { Verdict } from './verdict.ts';

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
  /** What a larger model says of the flow, which is its verdict from the next packet on. */
  readonly answer?: Verdict & { readonly flow: Flow };
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

/** The flows of one capture, of one model or of several. */
export interface CaptureFlows {
  /** Which model's packet it is, below 0 for none, and what becomes of it there. */
  frame(frame: Frame): { readonly model: number; readonly result: PacketResult };
  /** A device has no place for a flow: whatever comes of it begins another. */
  forget(model: number, flow: number): ForgottenFlow | undefined;
  /** The rows of flows that end with the capture. */
  end(): Iterable<{ readonly model: number; readonly row: FeatureRow }>;
}

/** Of the only model. */
export function flowsOf(definition: FeatureDefinition): CaptureFlows {
  const executor = new FeatureExecutor(definition);
  return {
    frame: (frame) => ({ model: 0, result: executor.frame(frame) }),
    forget: (_, flow) => executor.forget(flow),
    end: () => executor.end().map((row) => ({ model: 0, row })),
  };
}

/** Classifies in this process, by the interpreter: what the engines of devices are compared with. */
export const createReferenceFlowEngine = (
  definition: FeatureDefinition,
  model: Model,
  escalation?: Escalation,
): FlowEngine => referenceEngine(() => flowsOf(definition), [verdicts(model)], escalation);

/** @param begin is called for each capture @param verdictOf by model */
export function referenceEngine(
  begin: () => CaptureFlows,
  verdictOf: readonly ((features: Uint8Array) => Verdict)[],
  escalation?: Escalation,
): FlowEngine {
  const classify = (model: number, row: FeatureRow): ClassifiedRow => ({
    ...row,
    ...verdictOf[model]!(row.features),
  });
  return {
    async capture(frames, onPacket) {
      const flows = begin();
      const asked = new AskedFlows(escalation?.below ?? 0);
      let count = 0;
      for (const frame of frames) {
        const { model, result: found } = flows.frame(frame);
        const result = asked.after(found);
        const rows = result.rows.map((row) => classify(model, row));
        const own = rows.find((row) => row.flow.number === result.flow?.number);
        const isAsked = own !== undefined && asked.asks(own.flow.number, own);
        const verdict = isAsked ? await escalation?.ask(own.features) : undefined;
        if (isAsked && verdict !== undefined) {
          asked.answer(own.flow.number, verdict);
          onPacket({ ...result, rows, answer: { flow: own.flow, ...verdict } }, frame);
        } else onPacket({ ...result, rows }, frame);
        if (++count % TURN === 0) await new Promise(setImmediate);
      }
      for (const { model, row } of flows.end())
        onPacket({ outcome: 'classified', rows: [classify(model, row)], flow: row.flow }, undefined);
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
