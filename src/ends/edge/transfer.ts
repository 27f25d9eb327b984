import { type Measures, VersionMeasures } from '../../doors/measures.ts';
import type { ElementType } from '../../model/tensor.ts';
import { isPieceOf, PartialTensor } from '../../wire/fragments.ts';
import {
  elementTypes,
  encodePacket,
  flagComing,
  flagUnsure,
  flagWorker,
  type Header,
  type InferencePacket,
  type PacketOutcome,
  packetKinds,
  packetOutcomes,
  TOKEN_BYTES,
} from '../../wire/index.ts';
import { countIn } from '../common/counts.ts';
import { Fifo } from '../common/fifo.ts';
import { Deadlines } from './deadlines.ts';
import type { Pacer } from './pacer.ts';
import type { RequestEncoder } from './requests.ts';
import { answeredBy, latencyOf, type SendStatistics } from './statistics.ts';

/** A tensor on the wire. */
export interface WireTensor {
  readonly element: ElementType;
  readonly count: number;
}

/** Of rows that are sent until each has an answer or was given up. */
export interface TransferOptions {
  readonly encoder: RequestEncoder;
  readonly jobId: bigint;
  /** Sequence number of row 0. */
  readonly firstSequence: number;
  readonly modelId: number;
  readonly layerCount: number;
  readonly input: WireTensor;
  readonly output: WireTensor;
  readonly isVerdict?: boolean;
  /** Rows without an answer at a time. */
  readonly window: number;
  readonly pacer?: Pacer | undefined;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly transmit: (packet: Buffer) => void;
}

/** Row and why it has no answer. */
export interface LostRow {
  readonly row: number;
  readonly reason: string;
}

/** Reasons of error packets that another try may not meet again. */
const passing: ReadonlySet<PacketOutcome> = new Set(['failed', 'truncated', 'tensor_fragment']);

/** Times that a row is sent again at once because the worker wanted a proof, and the ms between two of them. */
const MOST_CHALLENGES = 4;
const BETWEEN_CHALLENGES_MS = 5;

/** The reason of rows of which nothing was heard. */
export const NO_ANSWER = 'no answer';
const waiting = 1;
const settled = 2;

/** Rows on their way and back, as a state machine: time and socket are the caller's. */
export class Transfer {
  readonly answers: Uint8Array;
  /** By row, see `answeredBy`. */
  readonly by: Uint8Array;
  readonly #o: TransferOptions;
  readonly #rows: Uint8Array;
  readonly #count: number;
  readonly #state: Uint8Array;
  readonly #firstSent: Float64Array;
  readonly #latency: Float64Array;
  readonly #deadlines: Deadlines;
  readonly #again = new Fifo<{ readonly row: number; readonly attempt: number }>();
  readonly #partial = new Map<number, { readonly of: Header; readonly tensor: PartialTensor }>();
  readonly #challenges = new Map<number, { count: number; at: number }>();
  #proof: { readonly token: Uint8Array; readonly at: number } | undefined;
  readonly #reasons = new Map<number, string>();
  readonly #errors: Record<string, number> = {};
  readonly #versions: Record<string, number> = {};
  readonly #measures = new Map<number, VersionMeasures>();
  #next = 0;
  #open = 0;
  #settled = 0;
  #answered = 0;
  #sent = 0;
  #retried = 0;
  #challenged = 0;
  #duplicates = 0;
  #differing = 0;
  #strays = 0;
  #started: number | undefined;
  #lastAnswer: number | undefined;
  #longestPause = 0;

  constructor(rows: Uint8Array, options: TransferOptions) {
    this.#o = options;
    this.#rows = rows;
    this.#count = rows.length / options.input.count;
    this.#state = new Uint8Array(this.#count);
    this.by = new Uint8Array(this.#count);
    this.answers = new Uint8Array(this.#count * options.output.count);
    this.#firstSent = new Float64Array(this.#count);
    this.#latency = new Float64Array(this.#count);
    this.#deadlines = new Deadlines(options.timeoutMs);
  }

  get done(): boolean {
    return this.#settled === this.#count;
  }

  get answered(): number {
    return this.#answered;
  }

  /** Rows that have an answer or will get none. */
  get settled(): number {
    return this.#settled;
  }

  /** Sends again what is due and whatever else may go. Returns the ms after which it wants to be called again. */
  advance(now: number): number {
    this.#deadlines.sweep(
      now,
      (row) => this.#state[row] === waiting,
      (row, attempt) => {
        if (attempt < this.#o.retries) this.#again.push({ row, attempt: attempt + 1 });
        else this.#give(row, this.#reasons.get(row) ?? NO_ANSWER);
      },
    );
    this.pump(now);
    const toSend = this.#again.length > 0 || this.#mayOpen();
    const untilSend = toSend
      ? (this.#o.pacer?.wait(this.#o.encoder.fragments) ?? 0)
      : Number.POSITIVE_INFINITY;
    return Math.max(0, Math.min(untilSend, this.#deadlines.next() - now));
  }

  /** Sends what window and pace allow: first what is sent again. */
  pump(now: number): void {
    const { pacer, encoder } = this.#o;
    while (this.#again.length > 0 || this.#mayOpen()) {
      const head = this.#again.peek();
      if (head !== undefined && this.#state[head.row] !== waiting) {
        this.#again.shift();
        continue;
      }
      if (pacer !== undefined && !pacer.take(encoder.fragments, now)) return;
      this.#again.shift();
      if (head === undefined) {
        this.#open++;
        this.#state[this.#next] = waiting;
        this.#firstSent[this.#next] = now;
        this.#transmit(this.#next++, 0, now);
      } else {
        this.#retried++;
        this.#transmit(head.row, head.attempt, now);
      }
    }
  }

  #mayOpen(): boolean {
    return this.#next < this.#count && this.#open < this.#o.window;
  }

  #transmit(row: number, attempt: number, now: number): void {
    this.#transmitRow(row, now);
    this.#deadlines.add(row, attempt, now);
  }

  #transmitRow(row: number, now: number): void {
    const { encoder, input, firstSequence, transmit } = this.#o;
    const tensor = this.#rows.subarray(row * input.count, (row + 1) * input.count);
    this.#started ??= now;
    for (let fragment = 0; fragment < encoder.fragments; fragment++) {
      transmit(encoder.encode(tensor, (firstSequence + row) >>> 0, fragment));
      this.#sent++;
    }
  }

  /** The row gets no answer. */
  #give(row: number, reason: string): void {
    this.#reasons.set(row, reason);
    this.#settle(row);
  }

  #settle(row: number): void {
    if (this.#state[row] === settled) return;
    this.#state[row] = settled;
    this.#settled++;
    this.#open--;
    this.#partial.delete(row);
    this.#challenges.delete(row);
  }

  receive({ header, activations }: InferencePacket, now: number): void {
    const row = (header.sequence - this.#o.firstSequence) >>> 0;
    const ours = header.jobId === this.#o.jobId && header.modelId === this.#o.modelId && row < this.#next;
    if (ours && header.kind === packetKinds.result && this.#isResult(header)) {
      const whole = this.#assemble(row, header, activations);
      if (whole !== undefined) this.#answer(row, header, whole, now);
    } else if (ours && header.kind === packetKinds.error && activations.length === 1)
      this.#fault(row, packetOutcomes[activations[0]!]?.name, (header.flags & flagComing) !== 0);
    else if (ours && header.kind === packetKinds.challenge && activations.length === TOKEN_BYTES)
      this.#challenge(row, header, activations, now);
    else this.#strays++;
  }

  /** The worker wants to know that we are where we say: the proof goes, and after it the row, without waiting for its time. */
  #challenge(row: number, header: Header, token: Uint8Array, now: number): void {
    if (this.#state[row] !== waiting) return;
    this.#prove(header, token, now);
    const before = this.#challenges.get(row) ?? { count: 0, at: Number.NEGATIVE_INFINITY };
    if (before.count >= MOST_CHALLENGES || now - before.at < BETWEEN_CHALLENGES_MS) return;
    this.#challenges.set(row, { count: before.count + 1, at: now });
    this.#challenged++;
    this.#transmitRow(row, now);
  }

  /** One proof is enough for all rows that were challenged together. */
  #prove(header: Header, token: Uint8Array, now: number): void {
    const last = this.#proof;
    const same = last !== undefined && Buffer.compare(last.token, token) === 0;
    if (same && now - last.at < BETWEEN_CHALLENGES_MS) return;
    this.#proof = { token: Uint8Array.from(token), at: now };
    const own = { kind: packetKinds.proof, fragmentIndex: 0, fragmentCount: 1, elementCount: token.length };
    this.#o.transmit(Buffer.from(encodePacket({ header: { ...header, ...own }, activations: token })));
  }

  #isResult(h: Header): boolean {
    const { layerCount, output } = this.#o;
    return (
      h.layerCount === layerCount &&
      h.nextLayer === layerCount &&
      h.elementType === elementTypes[output.element] &&
      isPieceOf(output.count, h)
    );
  }

  /** Fragments of one answer only: of one version, by the same node. */
  #assemble(row: number, header: Header, activations: Uint8Array): Uint8Array | undefined {
    const { fragmentCount, fragmentIndex } = header;
    if (fragmentCount === 1) return activations;
    if (this.by[row] !== answeredBy.nobody) {
      this.#compare(row, activations, Math.floor((fragmentIndex * this.#o.output.count) / fragmentCount));
      return undefined;
    }
    let partial = this.#partial.get(row);
    const same =
      partial?.tensor.fragments === fragmentCount &&
      partial.of.modelVersion === header.modelVersion &&
      partial.of.flags === header.flags;
    const anew = () => {
      const made = { of: header, tensor: new PartialTensor(this.#o.output.count, fragmentCount) };
      this.#partial.set(row, made);
      return made;
    };
    if (partial === undefined || !same) partial = anew();
    let placed = partial.tensor.place(fragmentIndex, activations);
    if (placed === 'conflict') {
      partial = anew();
      placed = partial.tensor.place(fragmentIndex, activations);
    }
    if (placed === 'duplicate') this.#duplicates++;
    return placed === 'complete' ? partial.tensor.bytes : undefined;
  }

  #answer(row: number, header: Header, answer: Uint8Array, now: number): void {
    if (this.by[row] !== answeredBy.nobody) {
      this.#compare(row, answer, 0);
      return;
    }
    this.answers.set(answer, row * this.#o.output.count);
    const { flags } = header;
    if (flags & flagWorker) this.by[row] = flags & flagUnsure ? answeredBy.large : answeredBy.worker;
    else this.by[row] = answeredBy.network;
    countIn(this.#versions, header.modelVersion);
    this.#latency[row] = now - this.#firstSent[row]!;
    const measures = this.#measures.get(header.modelVersion) ?? new VersionMeasures();
    this.#measures.set(header.modelVersion, measures);
    measures.answer(1000 * this.#latency[row]!, this.#o.isVerdict ? answer[1] : undefined);
    if (this.#lastAnswer !== undefined)
      this.#longestPause = Math.max(this.#longestPause, now - this.#lastAnswer);
    this.#lastAnswer = now;
    this.#answered++;
    // One that comes after its row was given up is welcome all the same.
    this.#reasons.delete(row);
    this.#settle(row);
  }

  #compare(row: number, bytes: Uint8Array, at: number): void {
    this.#duplicates++;
    const start = row * this.#o.output.count + at;
    if (Buffer.compare(this.answers.subarray(start, start + bytes.length), bytes) !== 0) this.#differing++;
  }

  /** @param coming whether the node says that what it lacks is on its way to it */
  #fault(row: number, reason: PacketOutcome | undefined, coming: boolean): void {
    countIn(this.#errors, reason ?? 'unknown');
    if (this.#state[row] !== waiting || reason === undefined) return;
    if (coming || passing.has(reason)) this.#reasons.set(row, reason);
    else this.#give(row, reason);
  }

  /** Answers by version, as a controller is told of them. */
  measures(): ReadonlyMap<number, Measures> {
    return new Map([...this.#measures].map(([version, of]) => [version, of.document()]));
  }

  lost(): LostRow[] {
    const lost: LostRow[] = [];
    for (let row = 0; row < this.#count; row++)
      if (this.by[row] === answeredBy.nobody) lost.push({ row, reason: this.#reasons.get(row) ?? NO_ANSWER });
    return lost;
  }

  statistics(): SendStatistics {
    const latency = (...whose: readonly number[]) =>
      latencyOf(this.#latency.filter((_, row) => whose.includes(this.by[row]!)).sort());
    const { network, worker, large } = answeredBy;
    const seconds = ((this.#lastAnswer ?? 0) - (this.#started ?? 0)) / 1000;
    const rate = (n: number) => (seconds > 0 ? n / seconds : 0);
    const count = (who: number) => this.by.reduce((sum, b) => sum + (b === who ? 1 : 0), 0);
    return {
      rows: this.#count,
      answered: this.#answered,
      lost: this.#count - this.#answered,
      sent: this.#sent,
      retried: this.#retried,
      challenged: this.#challenged,
      duplicates: this.#duplicates,
      differing: this.#differing,
      strays: this.#strays,
      errors: this.#errors,
      by: { network: count(network), worker: count(worker), large: count(large) },
      versions: this.#versions,
      seconds: Math.max(0, seconds),
      packetsPerSecond: rate(this.#sent),
      answersPerSecond: rate(this.#answered),
      latencyMs: latency(network, worker, large),
      latencyMsBy: { network: latency(network), worker: latency(worker), large: latency(large) },
      longestPauseMs: this.#longestPause,
    };
  }
}
