import { type Diagnostic, DiagnosticError } from '../diagnostics/index.ts';
import type { HeldDocument } from '../doors/worker-protocol.ts';
import type { TlsOptions } from '../p4runtime/index.ts';
import { WorkerClient, type WorkerDoor } from './worker-client.ts';

/** How often a worker is asked whether it is there, and which start of it, ms. */
const PROBE_MS = 500;

/** What is known of a worker: nothing yet, there with the instance that answered, or away and why. */
export type WorkerLinkState =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'here'; readonly instance: string; readonly since: number }
  | { readonly kind: 'away'; readonly diagnostics: readonly Diagnostic[] };

/** Watches whether a worker can be had. One that was started anew is told of as one that came back. */
export class WorkerLink {
  readonly #client: WorkerClient;
  readonly #tell: (state: WorkerLinkState) => void;
  readonly #onAnswer: (held: HeldDocument) => void;
  readonly #timer: NodeJS.Timeout;
  #asking: Promise<void> | undefined;
  #state: WorkerLinkState = { kind: 'unknown' };
  #closed = false;

  /**
   * @param tell hears of each state that differs from the one before
   * @param onAnswer hears each answer, with what the worker has counted
   */
  constructor(
    spec: WorkerDoor,
    tls: TlsOptions | undefined,
    tell: (state: WorkerLinkState) => void,
    timeoutMs?: number,
    onAnswer: (held: HeldDocument) => void = () => {},
  ) {
    this.#client = new WorkerClient(spec, tls, timeoutMs);
    this.#tell = tell;
    this.#onAnswer = onAnswer;
    this.#timer = setInterval(() => this.#ask(), PROBE_MS);
    this.#ask();
  }

  get state(): WorkerLinkState {
    return this.#state;
  }

  /** Until it is known whether the worker can be had. */
  async settled(): Promise<void> {
    await this.#asking;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  #ask(): void {
    this.#asking ??= this.#probe().finally(() => {
      this.#asking = undefined;
    });
  }

  async #probe(): Promise<void> {
    const next = await this.#client.held(true).then(
      (held): WorkerLinkState => {
        if (!this.#closed) this.#onAnswer(held);
        return { kind: 'here', instance: held.instance, since: performance.now() };
      },
      (error: unknown): WorkerLinkState => {
        if (!(error instanceof DiagnosticError)) throw error;
        return { kind: 'away', diagnostics: error.diagnostics };
      },
    );
    if (this.#closed || isSame(next, this.#state)) return;
    this.#state = next;
    this.#tell(next);
  }
}

const isSame = (a: WorkerLinkState, b: WorkerLinkState): boolean =>
  a.kind === 'here' && b.kind === 'here' ? a.instance === b.instance : a.kind === b.kind;
