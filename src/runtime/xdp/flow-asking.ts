/** Flows that the device's own model is not sure of: a larger model is asked, and its verdict written back into the flow. */
import { type BpfMap, type BpfProgram, LEAST_PACKET, type TestRunner, XdpAction } from '../../bpf/index.ts';
import { decodeRate, encodeRate, type FlowQuestion, type ToldVerdict } from './flow-actions.ts';
import type { LargerModel, LargerVerdict } from './larger-model.ts';

/** When a larger model is asked. */
export interface Asking {
  /** Margins below it are asked about; 0 for none. */
  readonly below: number;
  /** Questions a second at most. */
  readonly rate: number;
}

/** `struct intransit_flow_telling`. */
export const TELLING_BYTES = 24;
const [WANTED_AT, BELOW_AT] = [0, 16];
/** `struct intransit_flow_answered`. */
export const ANSWERED_BYTES = 24;

/** Makes the program ask; what others want to hear stays as it is. @param map `telling` */
export function setBelow(map: BpfMap, below: number): void {
  const bytes = map.lookup(0)!;
  bytes.writeBigUInt64LE(BigInt(below), BELOW_AT);
  map.update(0, bytes);
}

/** Which records anybody wants, as bits; margins that are asked about stay as they are. @param map `telling` */
export function setWanted(map: BpfMap, wanted: bigint): void {
  const bytes = map.lookup(0)!;
  bytes.writeBigUInt64LE(wanted, WANTED_AT);
  map.update(0, bytes);
}

/** Which records anybody wants, as bits. @param map `telling` */
export const wantedOf = (map: BpfMap): bigint => map.lookup(0)!.readBigUInt64LE(WANTED_AT);
/** Margins below it are asked about; 0 for none. @param map `telling` */
export const belowOf = (map: BpfMap): number => Number(map.lookup(0)!.readBigUInt64LE(BELOW_AT));

/** So many questions a second, and as many at once; 0 for none. @param map `asking` */
export const setAskingRate = (map: BpfMap, rate: number): void =>
  map.update(
    0,
    encodeRate(rate === 0 ? undefined : { bytesPerSecond: BigInt(rate), burstBytes: BigInt(rate) }),
  );

/** Questions a second at most; 0 for none. @param map `asking` */
export const askingRate = (map: BpfMap): number => Number(decodeRate(map.lookup(0)!)?.bytesPerSecond ?? 0n);

/** Writes verdicts into flows of a table. */
export class FlowAnswers {
  readonly #runner: TestRunner;
  readonly #answer: BpfMap;
  readonly #frame = new Uint8Array(LEAST_PACKET);
  readonly #bytes = Buffer.alloc(ANSWERED_BYTES);

  /** @param program `intransit_flow_answer` @param answer the map `flow_answer` of its object */
  constructor(program: BpfProgram, answer: BpfMap) {
    this.#runner = program.createTestRunner(LEAST_PACKET);
    this.#answer = answer;
  }

  /** @returns whether it is the flow's verdict now: another may have its place */
  write({ place, word }: Pick<FlowQuestion, 'place' | 'word'>, verdict: LargerVerdict): boolean {
    this.#bytes.writeBigUInt64LE(place, 0);
    this.#bytes.writeBigUInt64LE(word, 8);
    this.#bytes.writeUInt8(verdict.class, 16);
    this.#bytes.writeUInt8(verdict.margin, 17);
    this.#answer.update(0, this.#bytes);
    return this.#runner.run(this.#frame) === XdpAction.pass;
  }
}

/**
 * Hands questions of a program to the larger model, and its answers back.
 * @param o.answered is told of a flow whose verdict is the larger model's now, as it was and as it is
 */
export function askLarger(o: {
  readonly model: LargerModel;
  readonly answers: FlowAnswers;
  /** Classes that a verdict may name. */
  readonly classCount: number;
  readonly answered: (before: FlowQuestion, now: ToldVerdict) => void;
}): (question: FlowQuestion) => void {
  return (question) =>
    o.model.ask(question.features, (verdict) => {
      if (verdict === undefined || verdict.class >= o.classCount) return;
      if (!o.answers.write(question, verdict)) return;
      const { place: _, word: __, ...flow } = question;
      o.answered(question, { ...flow, ...verdict, kind: 'verdict' });
    });
}
