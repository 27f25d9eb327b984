import type { FlowOutcomeName } from '../backends/common/flow/outcomes.ts';
import type { FeatureRow, PacketResult } from '../features/executor.ts';
import type { EndedFlow } from '../runtime/xdp/flow-device.ts';
import type { ClassifiedRow, Equality, FlowOutcome, PacketDecision, Verdict } from './engine.ts';
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
  /** Whether it asks a larger model about the packet's flow. */
  readonly asked?: boolean;
  /** Which of several models had the packet, if it says so. */
  readonly model?: number;
}

/** Differences that are told in words. */
const MOST_EXAMPLES = 5;

/** Compares a device with the reference, packet by packet: outcome, features, class and margin. */
export class Comparison {
  readonly #verdictOf: (features: Uint8Array, model: number) => Verdict;
  readonly #examples: string[] = [];
  /** The verdict of each flow of the capture, by the reference. */
  #cached = new Map<number, Verdict>();
  /** Flows of which a packet found no place. */
  readonly #lost = new Set<number>();
  readonly #below: number;
  #asked: AskedFlows;
  #frame = 0;
  #packets = 0;
  #mismatches = 0;

  /**
   * @param verdictOf the reference's, of the model of that number
   * @param below margins that a larger model is asked about
   */
  constructor(verdictOf: (features: Uint8Array, model: number) => Verdict, below = 0) {
    this.#verdictOf = verdictOf;
    this.#below = below;
    this.#asked = new AskedFlows(below);
  }

  /** A capture begins. */
  begin(): void {
    this.#cached = new Map();
    this.#lost.clear();
    this.#asked = new AskedFlows(this.#below);
    this.#frame = 0;
  }

  /**
   * One packet; what the device said of it becomes the decision, of the flow that the reference knows.
   * @param model whose packet it is, where there are several
   */
  packet(result: PacketResult, device: DeviceResult, model = 0): PacketDecision {
    const expected = this.#asked.after(result);
    this.#frame++;
    this.#packets++;
    if (expected.flow !== undefined && this.#lost.has(expected.flow.number))
      return {
        outcome: device.outcome === 'cached' ? 'early' : device.outcome,
        rows: [],
        flow: expected.flow,
      };
    // Before its own row stands that of a flow whose end it tells of.
    const row = expected.rows.find((r) => r.flow.number === expected.flow?.number);
    const over = expected.rows.find((r) => r !== row);
    const ended = over === undefined && device.gone === undefined ? [] : this.ended(over, device.gone, model);
    const own = row && { ...row, ...this.#verdictOf(row.features, model) };
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

  /**
   * A packet whose flow has found no place, which the reference never lacks: it has the verdict of the model of packets. The state of
   * its flow is then another than the reference's, so the flow is compared no more.
   */
  collided(expected: PacketResult, device: DeviceResult, verdict: Verdict | undefined): PacketDecision {
    this.#frame++;
    this.#packets++;
    if (expected.flow !== undefined) this.#lost.add(expected.flow.number);
    this.#compare('verdict of the packet', verdictText(verdict), verdictText(device.verdict));
    return { outcome: 'collided', rows: [], ...(expected.flow && { flow: expected.flow }) };
  }

  /** A larger model's verdict on a flow that was asked about stands there now. @param flow its number */
  answer(flow: number, verdict: Verdict): void {
    this.#asked.answer(flow, verdict);
    this.#cached.set(flow, verdict);
  }

  /** A flow that ended without a packet of its own. @returns what the device said of it */
  ended(expected: FeatureRow | undefined, found: EndedFlow | undefined, model = 0): readonly ClassifiedRow[] {
    const verdict = expected && this.#verdictOf(expected.features, model);
    this.#compare('features at the end', textOf(expected?.features), textOf(found?.features));
    this.#compare('verdict at the end', verdictText(verdict), verdictText(found?.verdict));
    if (expected === undefined || found === undefined) return [];
    return [{ ...expected, features: found.features, ...found.verdict }];
  }

  equality(): Equality {
    return { packets: this.#packets, mismatches: this.#mismatches, examples: this.#examples };
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
