import {
  type FlowEventName,
  type FlowOutcomeName,
  flowEvents,
  flowOutcomes,
} from '../../backends/common/flow/outcomes.ts';
import { flowSecrets } from '../../backends/xdp/flow/secrets.ts';
import {
  type BpfMap,
  type BpfObject,
  type BpfProgram,
  createTestRunner,
  type MappedWords,
  openObject,
  RingBuffer,
  type TestRunner,
} from '../../bpf/index.ts';
import { decodeRecord, type FlowQuestion } from './flow-actions.ts';
import { type Asking, FlowAnswers, setAskingRate, setBelow } from './flow-asking.ts';
import { FlowSweeper } from './flow-sweep.ts';
import type { LargerVerdict } from './larger-model.ts';

/** Words of the map `flow_test`: enum intransit_flow_word of ebpf/intransit_flow.h. */
const TEST = { time: 0, length: 1, result: 2, features: 3 } as const;
const KNOWN = 1 << 24;

/** Places of the map `next`: enum intransit_flow_next. */
const NEXT = { others: 0, collided: 1 } as const;

/** Maps that devices of a set have in common. */
const SHARED = [
  'flow_counts',
  'flow_test',
  'ports',
  'tx',
  'classes',
  'rates',
  'class_counts',
  'message',
  'told',
  'telling',
  'asking',
] as const;

/** Longest frame of a test run: a page, less what the kernel keeps of it. */
export const MOST_TEST_FRAME = 3520;

/** What the program said of a frame. */
export interface FlowTestResult {
  readonly outcome: FlowOutcomeName;
  /** The verdict that the packet's flow has, if it has one. */
  readonly verdict: { readonly class: number; readonly margin: number } | undefined;
  /** XDP's verdict on the packet. */
  readonly action: number;
  readonly durationNs: number;
}

/** Packets by outcome, and flows by event. */
export type FlowCounts = Readonly<Record<FlowOutcomeName | FlowEventName, bigint>>;

/** A flow that has ended without a packet of its own: what the model was given, and what it said. */
export interface EndedFlow {
  readonly features: Uint8Array;
  readonly verdict: { readonly class: number; readonly margin: number };
}

/** Where a flow lies in the table. */
export interface FlowPlace {
  readonly bucket: number;
  readonly place: number;
}

/** A loaded program of flow mode, for the process that loaded it. */
export class XdpFlowDevice implements Disposable {
  readonly #object: BpfObject;
  readonly #features: number;
  readonly #featureWords: number;
  readonly #test: MappedWords | undefined;
  readonly #model: MappedWords;
  #runner: TestRunner | undefined;
  #sweeper: FlowSweeper | undefined;
  #answers: FlowAnswers | undefined;
  #ring: RingBuffer | undefined;
  #questions: FlowQuestion[] = [];

  private constructor(object: BpfObject, features: number, featureWords: number, test: boolean) {
    this.#object = object;
    this.#features = features;
    this.#featureWords = featureWords;
    this.#model = object.map('flow_model').words();
    this.#test = test ? object.map('flow_test').words() : undefined;
  }

  /**
   * Loads the object.
   * @param features inputs of the model
   * @param o.test whether it is for test runs, which give arrivals and tell features
   * @param o.share another device of the same set: counts, actions and what is told are its
   * @param o.featureWords words of eight features that a test run is told
   * @param o.acts whether classes have actions; without, every packet goes up to the host
   * @param o.asks whether it may ask a larger model
   * @throws BpfError, VerifierError
   */
  static async load(
    elf: string | Uint8Array,
    features: number,
    o: {
      readonly test: boolean;
      readonly acts?: boolean;
      readonly asks?: boolean;
      readonly share?: XdpFlowDevice;
      readonly featureWords: number;
    },
  ): Promise<XdpFlowDevice> {
    const globals = {
      intransit_flow_test: o.test ? 1 : 0,
      intransit_flow_acts: o.acts ? 1 : 0,
      intransit_flow_asks: o.asks ? 1 : 0,
      intransit_flow_secrets: flowSecrets(),
    };
    const maps = o.share && Object.fromEntries(SHARED.map((name) => [name, o.share!.map(name)]));
    const object = await openObject(elf, { name: 'intransit_flow', globals, ...(maps && { maps }) });
    return new XdpFlowDevice(object, features, o.featureWords, o.test);
  }

  get program(): BpfProgram {
    return this.#object.program('intransit_flow');
  }

  map(name: string): BpfMap {
    return this.#object.map(name);
  }

  /** Whither packets go that are not for this model, or whose flow finds no place: to the program of another of its set. */
  handOn(what: 'others' | 'collided', to: XdpFlowDevice): void {
    this.map('next').update(NEXT[what], to.program.fd);
  }

  /** Puts weights into a slot, and lets packets be classified by them from now on: one write. */
  install(slot: 0 | 1, weights: Uint8Array | undefined): void {
    if (weights !== undefined && weights.length > 0) this.map('weights').update(slot, weights);
    this.#model.set(0, BigInt(slot));
  }

  /** Lets it ask a larger model, from the next packet on. Only of a device that may. */
  ask({ below, rate }: Asking): void {
    setAskingRate(this.map('asking'), rate);
    setBelow(this.map('telling'), below);
  }

  /** Flows that it has asked about since the last call, where nobody else reads what it tells. */
  questions(): readonly FlowQuestion[] {
    this.#ring ??= new RingBuffer(this.map('told'), (bytes) => {
      const record = decodeRecord(bytes);
      if (record?.kind === 'question') this.#questions.push(record);
    });
    this.#ring.consume();
    const questions = this.#questions;
    this.#questions = [];
    return questions;
  }

  /** Writes a larger model's verdict into the flow that was asked about. @returns whether that is its verdict now */
  answer(question: FlowQuestion, verdict: LargerVerdict): boolean {
    return this.answers.write(question, verdict);
  }

  get answers(): FlowAnswers {
    this.#answers ??= new FlowAnswers(this.#object.program('intransit_flow_answer'), this.map('flow_answer'));
    return this.#answers;
  }

  /** Runs a frame that arrived at a time and had so many bytes on the wire. Only of a device for test runs. */
  run(frame: Uint8Array, timeNs: bigint, wireLength = frame.length): FlowTestResult {
    const test = this.#words();
    this.#runner ??= createTestRunner(this.program, MOST_TEST_FRAME);
    test.set(TEST.time, timeNs);
    test.set(TEST.length, BigInt(wireLength));
    const action = this.#runner.run(frame);
    const result = Number(test.get(TEST.result));
    return {
      outcome: flowOutcomes[result & 0xff]!.name,
      verdict: result & KNOWN ? { class: (result >> 8) & 0xff, margin: (result >> 16) & 0xff } : undefined,
      action,
      durationNs: this.#runner.durationNs,
    };
  }

  /** The frame as the last run left it: a view, valid until the next. */
  get frame(): Uint8Array {
    return this.#runner!.packet;
  }

  /** The features of the last packet that was classified. */
  features(): Uint8Array {
    return this.#featuresAt(TEST.features);
  }

  /** The flow that the last packet, or a sweep of one place, found over. Only where flows are classified at their ends. */
  gone(): EndedFlow | undefined {
    const word = Number(this.#words().get(this.#placeWord + 1));
    if (!(word & (1 << 16))) return undefined;
    const verdict = { class: word & 0xff, margin: (word >> 8) & 0xff };
    return { features: this.#featuresAt(this.#placeWord + 2), verdict };
  }

  /** Where the flow of the last packet that was counted to one lies; not of one that was late. */
  place(): FlowPlace {
    const word = Number(this.#words().get(this.#placeWord));
    return { bucket: word >> 8, place: word & 0xff };
  }

  /** Ends the flow of a place, as it would be at its timeout. */
  endPlace({ bucket, place }: FlowPlace): EndedFlow | undefined {
    this.#words().set(this.#placeWord + 1, 0n);
    this.#sweeping.range(bucket, 1, 1 << place, true);
    return this.gone();
  }

  /**
   * Ends the flows that are over by their timeouts, or all of them: those that no packet comes to any more. Only where flows are
   * classified at their ends.
   * @param isOver asked between two turns: whether to leave the rest
   */
  sweep(all = false, isOver?: () => boolean): Promise<void> {
    return this.#sweeping.sweep(this.map('flows').info.maxEntries, all, isOver);
  }

  get #sweeping(): FlowSweeper {
    this.#sweeper ??= new FlowSweeper(this.#object.program('intransit_flow_sweep'), this.map('flow_range'));
    return this.#sweeper;
  }

  #featuresAt(word: number): Uint8Array {
    const test = this.#words();
    const bytes = new DataView(new ArrayBuffer(Math.ceil(this.#features / 8) * 8));
    for (let at = 0; at < this.#features; at += 8) bytes.setBigUint64(at, test.get(word + at / 8), true);
    return new Uint8Array(bytes.buffer, 0, this.#features);
  }

  /** INTRANSIT_FLOW_TEST_PLACE, behind the features. */
  get #placeWord(): number {
    return TEST.features + this.#featureWords;
  }

  /** Forgets all flows. No packet may be under way. */
  clear(): void {
    const flows = this.map('flows');
    const empty = new Uint8Array(flows.info.valueSize);
    for (let i = 0; i < flows.info.maxEntries; i++) flows.update(i, empty);
  }

  counts(): FlowCounts {
    const sums = this.map('flow_counts').sumPerCpu(0)!;
    const names = [...flowOutcomes.map((o) => o.name), ...flowEvents] as const;
    return Object.fromEntries(names.map((name, i) => [name, sums[i]!])) as FlowCounts;
  }

  close(): void {
    this.#ring?.close();
    this.#test?.close();
    this.#model.close();
    this.#object.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #words(): MappedWords {
    if (this.#test === undefined) throw new Error('the program was not loaded for test runs');
    return this.#test;
  }
}
