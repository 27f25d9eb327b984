import type { KnownProgram, Observed } from '../../controller/core/observed.ts';
import type { Endpoint } from '../../controller/core/run.ts';
import { readTls } from '../../controller/deployment.ts';
import type { DeviceCounts } from '../../controller/device-counts.ts';
import { type CompileProgram, DeviceEndpoint } from '../../controller/device-endpoint.ts';
import { Backoff, DeviceLink } from '../../controller/device-link.ts';
import type { FlowDeviceReport } from '../../controller/flow-counts.ts';
import { WorkerLink } from '../../controller/worker-link.ts';
import { WorkerEndpoint } from '../../controller/worker-task.ts';
import type { Diagnostic, DiagnosticError } from '../../diagnostics/index.ts';
import type { HeldDocument } from '../../doors/worker-protocol.ts';
import type { EndpointState } from '../manifests/index.ts';
import type { Named } from './network.ts';

/** Whether a node can be had, and why not. */
export type Reach =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'here'; readonly electionId?: bigint }
  /** Another controller has it. */
  | { readonly kind: 'backup'; readonly why: string }
  | { readonly kind: 'away'; readonly why: string };

/** How a node is driven and looked after. */
export interface NodeOptions {
  readonly electionId: bigint;
  readonly compile: CompileProgram;
  readonly timeoutMs?: number;
  /** How often a device is asked whether it is there, ms. */
  readonly probeMs?: number;
  /** How long after a read it is read again at the latest, ms. */
  readonly readbackMs: () => number;
  /** Hears what a worker has counted, with each answer of its door. */
  readonly onCounts: (node: ManagedNode, held: HeldDocument) => void;
  /** Hears of each change of reach. */
  readonly onReach: (node: ManagedNode) => void;
}

const RETRY_MS = [500, 30_000] as const;
const ANEW_MS = 2_000;

/**
 * A device or worker that is looked after for as long as it is in the store: the connection, what was read of it last, and
 * how far it is. Its states are those of docs/controller.md; whoever brings it somewhere holds it alone meanwhile.
 */
export class ManagedNode {
  readonly kind: 'Device' | 'Worker';
  readonly name: string;
  /** What programs a device runs; undefined of a worker. */
  readonly target: string | undefined;
  /** Spec of the connection: another one is another node. */
  readonly connection: string;
  readonly endpoint: Endpoint;
  readonly backoff = new Backoff(RETRY_MS);
  reach: Reach = { kind: 'unknown' };
  /** Key of the goal that it was brought to and found at; undefined while that is not known. */
  settledAt: string | undefined;
  /** Whether a device was brought to some goal since it came back; undefined where nothing is known of it but what another one wrote. */
  wasBrought: boolean | undefined;
  /** Why it could not be brought there last. */
  failure: { readonly diagnostics: readonly Diagnostic[]; readonly goal: string } | undefined;
  /** Not before: of what failed, ms of the steady clock. */
  notBefore = 0;
  /** When it was read last, ms of the steady clock. */
  readAt = 0;
  /** When it is to be read again, ms of the steady clock. */
  readAgainAt = 0;
  /** When it was lost last. */
  lostAt: number | undefined;
  isBusy = false;
  isDraining = false;
  /** Set where no connection could be begun, such as without a certificate: when that is tried again, ms of the steady clock. */
  anewAt: number | undefined;
  readonly #readbackMs: () => number;
  readonly #close: () => void;
  readonly #counts: () => Promise<DeviceCounts | undefined>;
  readonly #flowCounts: () => Promise<FlowDeviceReport | undefined>;
  readonly #read: (candidates: Iterable<() => KnownProgram>) => Promise<void>;

  private constructor(
    kind: ManagedNode['kind'],
    name: string,
    connection: string,
    parts: {
      readonly target?: string;
      readonly readbackMs: () => number;
      readonly endpoint: Endpoint;
      readonly close: () => void;
      readonly counts?: () => Promise<DeviceCounts | undefined>;
      readonly flowCounts?: () => Promise<FlowDeviceReport | undefined>;
      readonly read: (candidates: Iterable<() => KnownProgram>) => Promise<void>;
    },
  ) {
    this.kind = kind;
    this.name = name;
    this.connection = connection;
    this.target = parts.target;
    this.endpoint = parts.endpoint;
    this.#readbackMs = parts.readbackMs;
    this.#close = parts.close;
    this.#counts = parts.counts ?? (async () => undefined);
    this.#flowCounts = parts.flowCounts ?? (async () => undefined);
    this.#read = parts.read;
  }

  /** @throws DiagnosticError where files of TLS cannot be read */
  static device({ name, spec }: Named<'Device'>, options: NodeOptions): ManagedNode {
    const { address, deviceId, target, tls } = spec;
    const at = { name, kind: target, address, deviceId };
    const { electionId, timeoutMs, probeMs } = options;
    const session = {
      electionId,
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(probeMs !== undefined && { probeMs }),
    };
    const link = new DeviceLink(at, tls && readTls(tls), session, (state) => {
      if (state.kind === 'primary') node.#reached({ kind: 'here', electionId: state.electionId }, options);
      else if (state.kind === 'backup')
        node.#reached({ kind: 'backup', why: textOf(state.diagnostics) }, options);
      else if (state.kind === 'away')
        node.#reached({ kind: 'away', why: textOf(state.diagnostics) }, options);
    });
    const endpoint = new DeviceEndpoint(at, link, options.compile, session);
    const node = new ManagedNode('Device', name, connectionOf(spec), {
      ...{ target, readbackMs: options.readbackMs, endpoint },
      close: () => link.close(),
      counts: () => endpoint.counts(),
      flowCounts: () => endpoint.flowCounts(),
      read: (candidates) => endpoint.open(candidates, 0),
    });
    return node;
  }

  /** @throws DiagnosticError where files of TLS cannot be read */
  static worker({ name, spec }: Named<'Worker'>, options: NodeOptions): ManagedNode {
    const door = { name, address: spec.control, electionId: options.electionId };
    const tls = spec.tls && readTls(spec.tls);
    const link = new WorkerLink(
      door,
      tls,
      (state) => {
        if (state.kind === 'here') node.#reached({ kind: 'here' }, options);
        else if (state.kind === 'away')
          node.#reached({ kind: 'away', why: textOf(state.diagnostics) }, options);
      },
      options.timeoutMs,
      (held) => options.onCounts(node, held),
    );
    const endpoint = new WorkerEndpoint(door, tls, options.timeoutMs);
    const node = new ManagedNode('Worker', name, connectionOf(spec), {
      ...{ readbackMs: options.readbackMs, endpoint },
      close: () => link.close(),
      read: () => endpoint.refresh(),
    });
    return node;
  }

  /** One that cannot even be dialled, and why: its conditions say so until its files can be read. */
  static undialled(
    kind: ManagedNode['kind'],
    { name, spec }: Named<'Device'> | Named<'Worker'>,
    error: DiagnosticError,
    now: number,
  ): ManagedNode {
    const refuse = () => Promise.reject(error);
    const observed: Observed =
      kind === 'Device'
        ? { on: 'device', name, cookie: 'none', known: undefined, entities: [] }
        : { on: 'worker', name, models: new Map() };
    const endpoint = { name, observed, refresh: refuse, perform: refuse, fault: () => error.diagnostics };
    const parts = { readbackMs: () => 0, endpoint, close: () => {}, read: refuse };
    const node = new ManagedNode(kind, name, connectionOf(spec), parts);
    node.reach = { kind: 'away', why: error.message };
    node.anewAt = now + ANEW_MS;
    return node;
  }

  get isHere(): boolean {
    return this.reach.kind === 'here';
  }

  get observed(): Observed {
    return this.endpoint.observed;
  }

  /** @param goal key of what it is to be now */
  stateAt(goal: string | undefined): EndpointState {
    switch (this.reach.kind) {
      case 'unknown':
        return 'unknown';
      case 'away':
        return 'unreachable';
      case 'backup':
        return 'arbitrating';
      case 'here':
        if (this.isDraining) return 'draining';
        return this.settledAt !== undefined && this.settledAt === goal ? 'in sync' : 'behind';
    }
  }

  /** Reads what it holds. @param candidates programs that may be the one that runs, the one that is to run first */
  async read(candidates: Iterable<() => KnownProgram>, now: number): Promise<void> {
    await this.#read(candidates);
    this.readAt = now;
    // Nodes that came together are not read together for ever.
    this.readAgainAt = now + this.#readbackMs() * (0.5 + Math.random() / 2);
  }

  /** What a device has counted; undefined where that cannot be known. @throws P4RuntimeError */
  counts(): Promise<DeviceCounts | undefined> {
    return this.#counts();
  }

  /** What a device has counted that classifies flows; undefined of others. @throws P4RuntimeError */
  flowCounts(): Promise<FlowDeviceReport | undefined> {
    return this.#flowCounts();
  }

  close(): void {
    this.#close();
  }

  #reached(reach: Reach, { onReach }: NodeOptions): void {
    if (this.kind === 'Device' && reach.kind === 'here' && this.reach.kind === 'away')
      this.wasBrought = false;
    this.reach = reach;
    // Whatever it was: it may be another behind the same name now.
    this.settledAt = undefined;
    this.notBefore = 0;
    if (reach.kind === 'here') this.backoff.reset();
    onReach(this);
  }
}

/** What makes a connection what it is. */
export const connectionOf = (spec: Named<'Device'>['spec'] | Named<'Worker'>['spec']): string =>
  'control' in spec
    ? JSON.stringify([spec.control, spec.tls])
    : JSON.stringify([spec.target, spec.address, spec.deviceId, spec.tls]);

const textOf = (diagnostics: readonly Diagnostic[]): string => diagnostics.map((d) => d.message).join('; ');
