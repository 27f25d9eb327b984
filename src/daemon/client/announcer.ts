import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { DiagnosticError } from '../../diagnostics/index.ts';
import { type LevelZeroType, levelZero, type Metric, Window } from '../cats/index.ts';
import type { Registered, RegistrationInput } from '../registry/schema.ts';
import { type ControllerClient, ControllerRefused } from './client.ts';

/** What a node measures of itself at one moment. */
export interface Measures {
  /** Share that was busy since the last one, 0 to 1. */
  readonly busy: number;
  readonly memoryFreeBytes: number;
  /** Rows that wait. */
  readonly queue?: number | undefined;
  /** Inferences that were computed since it started, and requests that were refused. */
  readonly computed?: number | undefined;
  readonly refused?: number | undefined;
}

type Given = Omit<RegistrationInput, 'instance' | 'metrics' | 'leaseMs' | 'capability'>;
type Capability = Omit<RegistrationInput['capability'], 'load'>;

/** What a node says of itself, to whom, and how often it must. */
export interface AnnouncerOptions {
  readonly client: ControllerClient;
  readonly registration: Given;
  readonly leaseMs: number;
  readonly capability: () => Capability;
  readonly measure: () => Measures;
  /** Hears of the first success, and of each failure that is another than the one before. */
  readonly onEvent: (
    event: { readonly registered: Registered } | { readonly failed: readonly string[] },
  ) => void;
}

const RETRY_MS = 1000;
const SAMPLE_MS = 1000;
/** How long an end may take that waits for a controller. */
const PARTING_MS = 2000;

/** Announces a node to a controller for as long as it runs, and says good-bye at the end. The service metric agent (C-SMA) of the node. */
export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #instance = randomUUID();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #sampler: NodeJS.Timeout;
  readonly #windows = {
    busy: new Window(),
    queue: new Window(),
    computed: new Window(),
    refused: new Window(),
    delay: new Window(),
  };
  #memoryFreeBytes = 0;
  #said = '';

  constructor(options: AnnouncerOptions) {
    this.#options = options;
    // Of the time before there is no share that was busy.
    this.#sample(true);
    this.#sampler = setInterval(() => this.#sample(), SAMPLE_MS).unref();
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    clearInterval(this.#sampler);
    this.#stop.abort();
    await Promise.race([this.#running, sleep(PARTING_MS)]);
    const { client, registration } = this.#options;
    const { kind, name } = registration;
    // Who cannot be told finds out when the lease ends.
    const told = client.send('POST', '/api/v1alpha1/unregister', { kind, name, instance: this.#instance });
    await Promise.race([told.catch(() => {}), sleep(PARTING_MS)]);
  }

  #sample(isFirst = false): void {
    const now = performance.now();
    const { busy, memoryFreeBytes, queue, computed, refused } = this.#options.measure();
    if (!isFirst) this.#windows.busy.add(busy, now);
    if (queue !== undefined) this.#windows.queue.add(queue, now);
    if (computed !== undefined) this.#windows.computed.add(computed, now);
    if (refused !== undefined) this.#windows.refused.add(refused, now);
    this.#memoryFreeBytes = memoryFreeBytes;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const waitMs = await this.#announce();
      // The sleep ends early when this is closed.
      await sleep(waitMs, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  /** @returns when to do it again, ms */
  async #announce(): Promise<number> {
    const { client, registration, leaseMs, capability, onEvent } = this.#options;
    const load = Math.max(0, Math.min(1, this.#windows.busy.mean() ?? 0));
    const body = {
      ...registration,
      instance: this.#instance,
      leaseMs,
      capability: { ...capability(), load },
      metrics: this.#metrics(),
    };
    const began = performance.now();
    try {
      const registered = await client.send<Registered>('POST', '/api/v1alpha1/register', body);
      this.#windows.delay.add(1000 * (performance.now() - began), performance.now());
      if (this.#said !== 'registered') onEvent({ registered });
      this.#said = 'registered';
      return registered.heartbeatMs;
    } catch (error) {
      const failed = messagesOf(error);
      if (this.#said !== failed.join()) onEvent({ failed });
      this.#said = failed.join();
      return RETRY_MS;
    }
  }

  #metrics(): readonly Metric[] {
    const { busy, queue, computed, refused, delay } = this.#windows;
    const measured = (
      type: LevelZeroType,
      value: number | undefined,
      how: 'mean' | 'cur' | 'min' = 'mean',
    ) =>
      value === undefined ? [] : [levelZero(type, value, { source: 'directly measured', statistics: how })];
    const rate = computed.rate();
    const asked = computed.rise() + refused.rise();
    // What is above the least of a window was spent in processes, not on the way.
    const delayUs = delay.min();
    // What waits is gone after as long as it takes at the rate of this window.
    const waitUs = rate === undefined || rate === 0 ? 0 : (1e6 * (queue.mean() ?? 0)) / rate;
    return [
      ...measured('compute_utilization', percent(busy.mean())),
      ...measured('compute_queue', queue.mean()),
      ...measured('compute_memory_free', this.#memoryFreeBytes, 'cur'),
      ...measured('communication_delay', delayUs, 'min'),
      ...measured('service_rate', rate),
      ...measured('service_refused', asked > 0 ? (100 * refused.rise()) / asked : undefined),
      ...(delayUs === undefined
        ? []
        : [levelZero('composed_delay', delayUs + waitUs, { source: 'estimation', statistics: 'mean' })]),
    ];
  }
}

const percent = (share: number | undefined): number | undefined =>
  share === undefined ? undefined : 100 * Math.min(1, share);

const messagesOf = (error: unknown): readonly string[] => {
  if (error instanceof ControllerRefused) return error.faults.map((f) => f.message);
  if (error instanceof DiagnosticError) return error.diagnostics.map((d) => d.message);
  throw error;
};
