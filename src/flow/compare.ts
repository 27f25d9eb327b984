import type { FlowOutcomeName } from '../backends/common/flow/outcomes.ts';
import type { FeatureDefinition } from '../features/definition.ts';
import type { FeatureRow, PacketResult } from '../features/executor.ts';
import type { EndedFlow } from '../runtime/xdp/flow-device.ts';
import type {
  CaptureFlows,
  ClassifiedRow,
  Equality,
  FlowOutcome,
  PacketDecision,
  Verdict,
} from './engine.ts';
import { AskedFlows } from './escalation.ts';

/** What a device said of a packet. */
export interface DeviceResult {
  readonly outcome: FlowOutcomeName;
  /** The verdict that the packet's flow has with it. */
  readonly verdict: Verdict | undefined;
  /** The features that the model was given, if it was asked. */
  readonly features: Uint8Array | undefined;
  /** Where flows are classified at their ends: one that this packet found over. */
  readonly gone?: EndedFlow | undefined;
  /** Where its flow lies, unless it was late or there is none. */
  readonly place?: string | undefined;
  /** Whether it asks a larger model about the packet's flow. */
  readonly asked?: boolean;
  /** Which of several models had the packet, if it says so. */
  readonly model?: number;
}

/** Whether a packet of this outcome is counted to a flow, which it changes: that has a place then. */
export const changesFlow = (outcome: FlowOutcomeName): boolean =>
  outcome === 'classified' || outcome === 'cached' || outcome === 'early';

/** Differences that are told in words. */
const MOST_EXAMPLES = 5;

/** A model that a device has, as the reference has it. */
export interface ComparedModel {
  readonly definition: FeatureDefinition;
  readonly verdictOf: (features: Uint8Array) => Verdict;
}

/**
 * Compares a device with the reference, packet by packet: outcome, features, class and margin. The reference has room for any number
 * of flows: what makes room on the device, or finds none, it forgets, so that the flow begins anew with its next packet on both.
 */
export class Comparison {
  readonly #models: readonly ComparedModel[];
  readonly #examples: string[] = [];
  /** The verdict of each flow of the capture, by the reference. */
  #cached = new Map<number, Verdict>();
  /** The flow in each place of a model's table. */
  #places = new Map<string, number>();
  #flows: CaptureFlows | undefined;
  readonly #below: number;
  #asked: AskedFlows;
  #frame = 0;
  #packets = 0;
  #mismatches = 0;

  /** @param below margins that a larger model is asked about */
  constructor(models: readonly ComparedModel[], below = 0) {
    this.#models = models;
    this.#below = below;
    this.#asked = new AskedFlows(below);
  }

  /** A capture begins. @param flows the reference's */
  begin(flows: CaptureFlows): void {
    this.#flows = flows;
    this.#cached = new Map();
    this.#places = new Map();
    this.#asked = new AskedFlows(this.#below);
    this.#frame = 0;
  }

  /**
   * One packet; what the device said of it becomes the decision, of the flow that the reference knows.
   * @param model whose packet it is, where there are several
   * @param collided the verdict of the model for packets whose flow finds no place
   */
  packet(
    result: PacketResult,
    device: DeviceResult,
    model = 0,
    collided: () => Verdict | undefined = () => undefined,
  ): PacketDecision {
    this.#frame++;
    this.#packets++;
    if (device.outcome === 'collided' && result.flow !== undefined) {
      this.#flows?.forget(model, result.flow.number);
      this.#compare('verdict of the packet', verdictText(collided()), verdictText(device.verdict));
      return { outcome: 'collided', rows: [], flow: result.flow };
    }
    const expected = this.#asked.after({
      ...result,
      rows: [...this.#madeRoom(result, device, model), ...result.rows],
    });
    // Before its own row stands that of a flow whose end it tells of.
    const row = expected.rows.find((r) => r.flow.number === expected.flow?.number);
    const over = expected.rows.find((r) => r !== row);
    const ended = over === undefined && device.gone === undefined ? [] : this.ended(over, device.gone, model);
    const own = row && { ...row, ...this.#models[model]!.verdictOf(row.features) };
    const { flow } = expected;
    if (own !== undefined) this.#cached.set(own.flow.number, own);
    const cached = flow && this.#cached.get(flow.number);
    if (expected.flow !== undefined && device.model !== undefined)
      this.#compare('model', `${model}`, `${device.model}`);
    this.#compare('outcome', outcomeOf(expected.outcome, cached !== undefined), device.outcome);
    if (row !== undefined) this.#compare('features', textOf(row.features), textOf(device.features));
    this.#compare('verdict', verdictText(cached), verdictText(device.verdict));
    const asks = own !== undefined && this.#asked.asks(own.flow.number, own);
    this.#compare('flow', askedText(asks), askedText(device.asked));
    const rows =
      row !== undefined && device.verdict !== undefined && device.outcome === 'classified'
        ? [{ ...row, features: device.features ?? row.features, ...device.verdict }]
        : [];
    const outcome: FlowOutcome = device.outcome === 'cached' ? 'early' : device.outcome;
    return { outcome, rows: [...ended, ...rows], ...(flow && { flow }) };
  }

  /** A larger model's verdict on a flow that was asked about stands there now. @param flow its number */
  answer(flow: number, verdict: Verdict): void {
    this.#asked.answer(flow, verdict);
    this.#cached.set(flow, verdict);
  }

  /** A flow that ended without a packet of its own. @returns what the device said of it */
  ended(expected: FeatureRow | undefined, found: EndedFlow | undefined, model = 0): readonly ClassifiedRow[] {
    const verdict = expected && this.#models[model]!.verdictOf(expected.features);
    this.#compare('features at the end', textOf(expected?.features), textOf(found?.features));
    this.#compare('verdict at the end', verdictText(verdict), verdictText(found?.verdict));
    if (expected === undefined || found === undefined) return [];
    return [{ ...expected, features: found.features, ...found.verdict }];
  }

  equality(): Equality {
    return { packets: this.#packets, mismatches: this.#mismatches, examples: this.#examples };
  }

  /** Notes the place of a packet's flow. @returns the row of the flow that made room for it, if that is due at its end */
  #madeRoom({ flow }: PacketResult, { place }: DeviceResult, model: number): readonly FeatureRow[] {
    if (flow === undefined || place === undefined) return [];
    const key = `${model} ${place}`;
    const before = this.#places.get(key);
    this.#places.set(key, flow.number);
    if (before === undefined || before === flow.number) return [];
    // One that a packet of its own began anew is not known any more.
    const gone = this.#flows?.forget(model, before);
    if (gone === undefined) return [];
    this.#cached.delete(before);
    const { keep } = this.#models[model]!.definition.table;
    this.#compare(
      'flow that makes room',
      'kept',
      gone.idle > keep ? 'kept' : `idle for ${gone.idle} of ${keep} units of the clock`,
    );
    return gone.row === undefined ? [] : [gone.row];
  }

  #compare(what: string, expected: string, found: string): void {
    if (expected === found) return;
    this.#mismatches++;
    if (this.#examples.length < MOST_EXAMPLES)
      this.#examples.push(`frame ${this.#frame}: ${what} ${found}, expected ${expected}`);
  }
}

const outcomeOf = (outcome: PacketResult['outcome'], known: boolean): string =>
  outcome === 'early' && known ? 'cached' : outcome;

const textOf = (features: Uint8Array | undefined): string => features?.join(' ') ?? 'none';

const askedText = (asked = false): string => (asked ? 'asked about' : 'not asked about');

const verdictText = (verdict: Verdict | undefined): string =>
  verdict === undefined ? 'none' : `class ${verdict.class}, margin ${verdict.margin}`;
