import type { PacketResult } from '../features/executor.ts';
import type { Verdict } from './verdict.ts';

/** When a larger model is asked about a flow, and how: once, and what it says is the flow's verdict from then on. */
export interface Escalation {
  /** Margins below it are asked about. */
  readonly below: number;
  /** Undefined where there is no answer: the flow keeps its verdict. */
  readonly ask: (features: Uint8Array) => Promise<Verdict | undefined>;
}

/** Which flows of a capture a larger model was asked about, and what it said: the oracle of what devices do. */
export class AskedFlows {
  readonly #below: number;
  readonly #asked = new Set<number>();
  readonly #answers = new Map<number, Verdict>();

  /** @param below 0 for none */
  constructor(below: number) {
    this.#below = below;
  }

  /** What becomes of a packet: one whose flow has its verdict from the larger model is not classified any more. */
  after(result: PacketResult): PacketResult {
    const { flow, outcome, rows } = result;
    if (outcome !== 'classified' || flow === undefined || !this.#answers.has(flow.number)) return result;
    return { ...result, outcome: 'early', rows: rows.filter((row) => row.flow.number !== flow.number) };
  }

  /** Whether a flow's verdict is asked about; it is not a second time. @param flow its number */
  asks(flow: number, { margin }: Verdict): boolean {
    if (margin >= this.#below || this.#asked.has(flow)) return false;
    this.#asked.add(flow);
    return true;
  }

  answer(flow: number, verdict: Verdict): void {
    this.#answers.set(flow, verdict);
  }
}
