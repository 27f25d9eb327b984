/**
 * Requests of many jobs at once as whole frames, so that each answer tells by its source MAC which worker gave it. What gets no answer is
 * sent again, and every answer is compared with what is right.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Model } from '../../../src/model/model.ts';
import { outputType } from '../../../src/model/model.ts';
import { tensorBytes } from '../../../src/model/tensor.ts';
import {
  decodePacket,
  encodeFrame,
  encodePacket,
  type FrameAddresses,
  framePayload,
  type InferencePacket,
  packetKinds,
  requestPacket,
} from '../../../src/wire/index.ts';
import { RawSocket } from '../../agent/raw-socket.ts';

export interface RawJobsTask {
  readonly namespace: string;
  readonly interface: string;
  readonly addresses: FrameAddresses;
  readonly model: Model;
  readonly modelId: number;
  readonly input: Uint8Array;
  /** What is right: one row after the other. */
  readonly expected: Uint8Array;
  readonly jobs: number;
  readonly perSecond: number;
}

/** What was seen since the last time. */
export interface RawJobsReport {
  readonly seconds: number;
  readonly sent: number;
  readonly answered: number;
  readonly wrong: number;
  /** Without an answer after all tries. */
  readonly lost: number;
  readonly retried: number;
  readonly challenged: number;
  /** By job: MACs of the workers that answered it. */
  readonly workers: ReadonlyMap<number, ReadonlySet<string>>;
}

const RETRY_MS = 100;
const MOST_TRIES = 100;
const TICK_MS = 2;
/** Job ids begin here, as those of a process would. */
const FIRST_JOB = 4711n << 40n;

interface Open {
  readonly job: number;
  readonly row: number;
  sentAt: number;
  tries: number;
}

export class RawJobs {
  readonly #task: RawJobsTask;
  readonly #socket: RawSocket;
  readonly #open = new Map<number, Open>();
  readonly #width: number;
  readonly #outWidth: number;
  #begun = 0;
  #isStopped = false;
  #running: Promise<void> | undefined;
  #seen = fresh();

  constructor(task: RawJobsTask) {
    this.#task = task;
    this.#socket = new RawSocket(task.namespace, task.interface);
    this.#width = tensorBytes(task.model.input);
    this.#outWidth = tensorBytes(outputType(task.model));
  }

  start(): void {
    this.#running = this.#run();
  }

  /** What was seen since the last time. */
  mark(): RawJobsReport {
    const { since, ...seen } = this.#seen;
    this.#seen = fresh();
    return { seconds: (performance.now() - since) / 1000, ...seen };
  }

  /** Begins no more, and waits for the last answers. */
  async stop(): Promise<RawJobsReport> {
    this.#isStopped = true;
    await this.#running;
    this.#socket[Symbol.dispose]();
    return this.mark();
  }

  async #run(): Promise<void> {
    const { perSecond, jobs, input } = this.#task;
    const rows = Math.floor(input.length / this.#width);
    let before = performance.now();
    let owed = 0;
    while (!this.#isStopped || this.#open.size > 0) {
      const now = performance.now();
      owed = Math.min(perSecond / 20, owed + ((now - before) * perSecond) / 1000);
      before = now;
      for (; !this.#isStopped && owed >= 1; owed--) {
        if (this.#open.size > perSecond / 2) continue;
        const sequence = ++this.#begun;
        const open = { job: sequence % jobs, row: sequence % rows, sentAt: 0, tries: 0 };
        this.#open.set(sequence, open);
        this.#seen.sent++;
        this.#send(sequence, open, now);
      }
      for (const frame of this.#socket.receive()) this.#receive(frame);
      this.#sendAgain(performance.now());
      await sleep(TICK_MS);
    }
  }

  #send(sequence: number, open: Open, now: number): void {
    const { model, modelId, input } = this.#task;
    open.sentAt = now;
    open.tries++;
    const tensor = input.subarray(open.row * this.#width, (open.row + 1) * this.#width);
    const common = { modelId, modelVersion: 0, layerCount: model.layers.length, turnRound: true };
    const jobId = FIRST_JOB + BigInt(open.job);
    this.#put(requestPacket(tensor, { ...common, element: model.input.element, jobId, sequence }));
  }

  #put(packet: InferencePacket): void {
    this.#socket.send(encodeFrame(this.#task.addresses, encodePacket(packet)));
  }

  #receive(frame: Buffer): void {
    const payload = framePayload(frame);
    const packet = payload && decodePacket(payload);
    if (packet === undefined) return;
    const { header, activations } = packet;
    const open = this.#open.get(header.sequence);
    if (open === undefined || header.jobId !== FIRST_JOB + BigInt(open.job)) return;
    if (header.kind === packetKinds.challenge) {
      this.#seen.challenged++;
      const own = { fragmentIndex: 0, fragmentCount: 1, elementCount: activations.length };
      this.#put({ header: { ...header, ...own, kind: packetKinds.proof }, activations });
    }
    if (header.kind !== packetKinds.result) return;
    this.#open.delete(header.sequence);
    this.#seen.answered++;
    const right = this.#task.expected.subarray(open.row * this.#outWidth, (open.row + 1) * this.#outWidth);
    if (Buffer.compare(right, activations) !== 0) this.#seen.wrong++;
    const of = this.#seen.workers.get(open.job) ?? new Set();
    this.#seen.workers.set(open.job, of.add(frame.toString('hex', 6, 12)));
  }

  #sendAgain(now: number): void {
    for (const [sequence, open] of this.#open) {
      if (open.tries === 1 && now - open.sentAt < RETRY_MS) return;
      if (now - open.sentAt < RETRY_MS) continue;
      if (open.tries >= MOST_TRIES) {
        this.#open.delete(sequence);
        this.#seen.lost++;
        continue;
      }
      this.#seen.retried++;
      this.#send(sequence, open, now);
    }
  }
}

const fresh = () => ({
  ...{ since: performance.now(), sent: 0, answered: 0, wrong: 0, lost: 0, retried: 0, challenged: 0 },
  workers: new Map<number, Set<string>>(),
});
