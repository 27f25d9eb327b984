import { status } from '@grpc/grpc-js';
import { type Diagnostic, diagnostic } from '../diagnostics/index.ts';
import { type P4Client, P4RuntimeError, type SessionState, type TlsOptions } from '../p4runtime/index.ts';
import { targetNamed } from '../targets/registry.ts';
import { deviceDiagnostics } from './device-errors.ts';
import {
  type ClientHolder,
  clientFor,
  type DeviceAddress,
  notPrimary,
  type SessionOptions,
} from './device-session.ts';

/** Delays between attempts to reach a device, ms: a switch that comes back is noticed within the last. */
const DIAL_MS = [20, 250] as const;
/** Delays behind what no redialling mends, such as a refused certificate, ms. */
const ANEW_MS = [1_000, 30_000] as const;

/** How often a device is asked whether it is there, ms: one that lost its power says nothing. */
const PROBE_MS = 5_000;
/** Of many devices so many are asked a second at most: then it takes longer until all were. */
const MOST_PROBES = 100;
/** Links of this process. */
let links = 0;

/** How often a device is asked whether it is there, ms, beside what its session takes. */
export interface LinkOptions extends SessionOptions {
  readonly probeMs?: number;
}

/** Where a link stands; what only leads from one of these to the next is not told. */
export type LinkState =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'primary'; readonly electionId: bigint; readonly since: number }
  | {
      readonly kind: 'backup';
      readonly electionId: bigint;
      readonly highest?: bigint;
      readonly diagnostics: readonly Diagnostic[];
    }
  | { readonly kind: 'away'; readonly diagnostics: readonly Diagnostic[] };

/** Delays that double with each failure. */
export class Backoff {
  readonly #range: readonly [first: number, last: number];
  #failures = 0;

  constructor(range: readonly [first: number, last: number]) {
    this.#range = range;
  }

  next(): number {
    const [first, last] = this.#range;
    return Math.min(last, first * 2 ** this.#failures++);
  }

  reset(): void {
    this.#failures = 0;
  }
}

/** The lasting connection to a device: whatever ends it, it is made anew, until it is closed. */
export class DeviceLink implements ClientHolder {
  readonly spec: DeviceAddress;
  readonly #tls: TlsOptions | undefined;
  readonly #options: LinkOptions;
  readonly #tell: (state: LinkState) => void;
  readonly #backoff = new Backoff(ANEW_MS);
  #client: P4Client;
  #state: LinkState = { kind: 'unknown' };
  #timer: NodeJS.Timeout | undefined;
  #probes: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param tell hears of each state that differs from the one before */
  constructor(
    spec: DeviceAddress,
    tls: TlsOptions | undefined,
    options: LinkOptions,
    tell: (state: LinkState) => void,
  ) {
    this.spec = spec;
    this.#tls = tls;
    this.#options = options;
    this.#tell = tell;
    this.#client = this.#dial();
    links++;
    // A connection that pings tells by itself; those that begin together are not asked together for ever.
    if (options.probeMs !== undefined || targetNamed(spec.kind).device?.keepaliveMs === undefined)
      this.#probes = setTimeout(() => void this.#probe(), this.#probeMs * Math.random());
  }

  get client(): P4Client {
    return this.#client;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Until it is known whether the device can be had, for that long at most. */
  async settled(timeoutMs: number): Promise<void> {
    if (this.#state.kind !== 'unknown' || this.#closed) return;
    await this.#client.until((state) => this.#stateOf(state) !== undefined, timeoutMs).catch(() => {});
  }

  close(): void {
    if (!this.#closed) links--;
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#probes);
    this.#client.close();
  }

  get #probeMs(): number {
    return Math.max(this.#options.probeMs ?? PROBE_MS, (1000 * links) / MOST_PROBES);
  }

  async #probe(): Promise<void> {
    const client = this.#client;
    try {
      if (this.#state.kind === 'primary' || this.#state.kind === 'backup') await client.capabilities();
    } catch (error) {
      // Any other failure ends the stream too, or is an answer.
      if (error instanceof P4RuntimeError && error.code === status.DEADLINE_EXCEEDED)
        client.session.redial(error);
    }
    if (!this.#closed) this.#probes = setTimeout(() => void this.#probe(), this.#probeMs);
  }

  #dial(): P4Client {
    const client = clientFor(this.spec, this.#tls, { ...this.#options, backoffMs: DIAL_MS });
    client.on('state', (state) => {
      if (!this.#closed) this.#enter(state);
    });
    client.session.open();
    return client;
  }

  #enter(session: SessionState): void {
    const state = this.#stateOf(session);
    if (state?.kind === 'primary') this.#backoff.reset();
    if (session.kind === 'closed')
      this.#timer = setTimeout(() => {
        this.#client = this.#dial();
      }, this.#backoff.next());
    if (state === undefined || sameState(state, this.#state)) return;
    this.#state = state;
    this.#tell(state);
  }

  #stateOf(session: SessionState): LinkState | undefined {
    switch (session.kind) {
      case 'primary':
        return { kind: 'primary', electionId: session.electionId, since: performance.now() };
      case 'backup': {
        const { electionId, highest } = session;
        const diagnostics = deviceDiagnostics(this.spec, 'connect', electionId, notPrimary(session));
        return { kind: 'backup', electionId, ...(highest !== undefined && { highest }), diagnostics };
      }
      case 'disconnected':
      case 'closed': {
        if (session.error === undefined) return undefined;
        const { electionId } = this.#options;
        const found = deviceDiagnostics(this.spec, 'connect', electionId ?? 1n, session.error);
        return { kind: 'away', diagnostics: found.map((d) => this.#asAway(d)) };
      }
      default:
        return undefined;
    }
  }

  /** However a stream has ended: the device is gone. */
  #asAway(found: Diagnostic): Diagnostic {
    if (found.code !== 'device-failed') return found;
    const { name: device, address } = this.spec;
    return diagnostic('device-unreachable', { device, address, reason: found.message });
  }
}

/** A device that stays away may do so for other reasons by and by: the first is told. */
function sameState(a: LinkState, b: LinkState): boolean {
  if (a.kind === 'backup' && b.kind === 'backup') return a.highest === b.highest;
  return a.kind === b.kind;
}
