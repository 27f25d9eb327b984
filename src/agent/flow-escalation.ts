import { FLOW_CLASSES } from '../backends/common/flow/tables.ts';
import { ipv4Text } from '../p4runtime/index.ts';
import { decodeClass, type FlowQuestion, type ToldVerdict } from '../runtime/xdp/flow-actions.ts';
import {
  askingRate,
  askLarger,
  belowOf,
  FlowAnswers,
  setAskingRate,
  setBelow,
} from '../runtime/xdp/flow-asking.ts';
import { LargerModel, type LargerModelPlace } from '../runtime/xdp/larger-model.ts';
import type { DataPlane } from './data-plane.ts';
import type { PlainEntry } from './table-entry.ts';

/** What the table `escalation` says. */
interface Escalation extends LargerModelPlace {
  readonly below: number;
  readonly rate: number;
}

/** Asks a worker about flows whose margin is low, as the table `escalation` says, and writes its verdicts into them. */
export class FlowEscalation {
  readonly #program: DataPlane;
  readonly #became: (flow: ToldVerdict) => void;
  #wanted: Escalation | undefined;
  #listening = false;
  #model: LargerModel | undefined;
  #ask: ((question: FlowQuestion) => void) | undefined;

  /** @param became is told of a flow that became another class by an answer, if its class is told */
  constructor(program: DataPlane, became: (flow: ToldVerdict) => void) {
    this.#program = program;
    this.#became = became;
  }

  set(entry: PlainEntry): void {
    this.#show(escalationOf(entry));
  }

  /** Brings the maps in line with an entry, or with none. @returns how many elements were not */
  fill(entry: PlainEntry | undefined): number {
    const wanted = entry && escalationOf(entry);
    const isRight =
      belowOf(this.#program.map('telling')) === (wanted?.below ?? 0) &&
      askingRate(this.#program.map('asking')) === (wanted?.rate ?? 0);
    if (isRight) this.#wanted = wanted;
    else this.#show(wanted);
    return isRight ? 0 : 1;
  }

  listen(): void {
    this.#listening = true;
    this.#open();
  }

  question(question: FlowQuestion): void {
    this.#ask?.(question);
  }

  close(): void {
    this.#model?.close();
    this.#model = undefined;
    this.#ask = undefined;
  }

  #show(wanted: Escalation | undefined): void {
    const telling = this.#program.map('telling');
    this.#wanted = wanted;
    // Nobody is asked while it is not known whom.
    setBelow(telling, 0);
    this.close();
    setAskingRate(this.#program.map('asking'), wanted?.rate ?? 0);
    this.#open();
    setBelow(telling, wanted?.below ?? 0);
  }

  #open(): void {
    if (!this.#listening || this.#wanted === undefined || this.#model !== undefined) return;
    const model = new LargerModel(this.#wanted);
    const own = this.#program.flow(0);
    this.#model = model;
    this.#ask = askLarger({
      model,
      answers: new FlowAnswers(own.answer!, own.map('flow_answer')),
      classCount: FLOW_CLASSES,
      answered: (before, now) => {
        const action = decodeClass(this.#program.map('classes').lookup(now.class)!);
        if (now.class !== before.class && action?.tell) this.#became(now);
      },
    });
  }
}

/** Undefined where nobody is asked. */
function escalationOf(entry: PlainEntry): Escalation | undefined {
  const [below, address, port, modelId, rate] = [0, 1, 2, 3, 4].map((i) => entry.parameter(i)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (below === 0 || rate === 0) return undefined;
  return { below, address: ipv4Text(BigInt(address)), port, modelId, rate };
}
