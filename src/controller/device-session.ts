import { status } from '@grpc/grpc-js';
import { models } from '../backends/common/table-model.ts';
import { refuse } from '../diagnostics/index.ts';
import {
  difference,
  type Init,
  P4Client,
  type P4ClientOptions,
  P4RuntimeError,
  type SessionState,
  type TlsOptions,
} from '../p4runtime/index.ts';
import { targetNamed } from '../targets/registry.ts';
import { budgetRequests, hasBudgets } from './budget.ts';
import { flowRequests, isHeldOfFlows } from './flow-program.ts';
import { classifiesFlows, type DeviceProgram } from './program.ts';
import { holdSlot, isHeld, isOf, isWeights, keyOf, slotOf } from './versions.ts';

type Entity = Init<'Entity'>;
type Update = Init<'Update'>;

/** How a device is found. */
export interface DeviceAddress {
  readonly name: string;
  /** Name of its target. */
  readonly kind: string;
  /** Of its P4Runtime server: host:port, or unix:/path. */
  readonly address: string;
  readonly deviceId: number;
}

/** How a device is driven. */
export interface SessionOptions {
  /** Default 1: every controller of a device needs its own, and the highest is the primary. */
  readonly electionId?: bigint;
  /** Deadline of each call, ms; default 10,000, and 60,000 for a program. */
  readonly timeoutMs?: number;
  /** How long a device that does not answer is tried, ms; default 5,000. */
  readonly connectTimeoutMs?: number;
  /** Only look: no bid to be the primary. */
  readonly readOnly?: boolean;
}

/** How long a device that does not answer is tried. */
export const CONNECT_TIMEOUT_MS = 5_000;

/** A kernel proves each program before it runs it, beside whatever else the machine does. */
const PUSH_TIMEOUT_MS = 60_000;

/** Where the client of a device is; one that was closed for good may be followed by another. */
export interface ClientHolder {
  readonly client: P4Client;
}

/** A client that is not connected yet. With `readOnly` it bids with election id 0, which never becomes primary. */
export const clientFor = (
  { kind, address, deviceId }: DeviceAddress,
  tls: TlsOptions | undefined,
  { readOnly, electionId, timeoutMs, backoffMs }: SessionOptions & Pick<P4ClientOptions, 'backoffMs'>,
): P4Client =>
  new P4Client({
    address,
    deviceId,
    // Nobody is evicted by an id of 0.
    electionId: readOnly === true ? 0n : (electionId ?? 1n),
    takeover: readOnly !== true,
    rebid: false,
    ...targetNamed(kind).device,
    ...(tls && { tls }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(backoffMs !== undefined && { backoffMs }),
  });

/** Why a device cannot be written to whose session is that of a backup. */
export function notPrimary(state: SessionState): P4RuntimeError {
  const highest = state.kind === 'backup' ? state.highest : undefined;
  return new P4RuntimeError({
    kind: 'not-primary',
    code: status.PERMISSION_DENIED,
    message: highest === undefined ? 'the device has a primary' : `that of the primary is ${highest}`,
  });
}

/** No table of ours is constant. */
const NONE: ReadonlySet<number> = new Set();

/** A device as a deployment sees it: the connection, and what was read of it last. */
export class DeviceSession {
  readonly spec: DeviceAddress;
  readonly #holder: ClientHolder;
  readonly #connectTimeoutMs: number;
  readonly #pushTimeoutMs: number;
  readonly #readOnly: boolean;
  #cookie: bigint | 'none' | 'other' = 'none';
  #entities: readonly Entity[] = [];
  #hasBudgets = false;
  #classifies = false;

  constructor(spec: DeviceAddress, holder: ClientHolder, options: SessionOptions) {
    this.spec = spec;
    this.#holder = holder;
    this.#readOnly = options.readOnly === true;
    this.#pushTimeoutMs = options.timeoutMs ?? PUSH_TIMEOUT_MS;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  }

  get client(): P4Client {
    return this.#holder.client;
  }

  /** @throws P4RuntimeError */
  async connect(): Promise<void> {
    const role = await this.client.connect(this.#connectTimeoutMs);
    if (role === 'primary' || this.#readOnly) return;
    throw notPrimary(this.client.state());
  }

  /** Cookie of the program that runs; `other` for one without. */
  get cookie(): bigint | 'none' | 'other' {
    return this.#cookie;
  }

  /** All table entries and the default actions that hold weights, as last read. */
  get entities(): readonly Entity[] {
    return this.#entities;
  }

  /** Which program runs. */
  async readCookie(): Promise<void> {
    const config = await this.client.pipeline.get('COOKIE_ONLY');
    this.#cookie = config === undefined ? 'none' : (config.cookie?.cookie ?? 'other');
    // What was read before may have been of another program.
    this.#entities = [];
  }

  /** What was pushed for the device itself to load. */
  async readConfig(): Promise<Uint8Array> {
    return (await this.client.pipeline.get('DEVICE_CONFIG_AND_COOKIE'))?.p4DeviceConfig ?? new Uint8Array();
  }

  /** The program that runs: whether it has budgets or classifies flows says what is read besides entries of tables. */
  set program(program: Pick<DeviceProgram, 'p4info' | 'drawn'>) {
    this.#hasBudgets = hasBudgets(program);
    this.#classifies = classifiesFlows(program);
  }

  /** Budgets are read of slots that are in use: the cells of all cost more than all else. */
  async readEntities(): Promise<void> {
    const known = this.#hasBudgets ? slotsOf(this.#entities) : new Set<number>();
    const tables = [{ tableEntry: {} }, { tableEntry: { isDefaultAction: true } }];
    if (this.#classifies) {
      const read = await this.client.readAll(tables);
      const more = await this.client.readAll(flowRequests(read));
      this.#entities = [...read, ...more].filter(isHeldOfFlows);
      return;
    }
    const read = (await this.client.readAll([...tables, ...budgetRequests(known)])).filter(isHeld);
    const more = this.#hasBudgets ? [...slotsOf(read)].filter((slot) => !known.has(slot)) : [];
    const cells = more.length > 0 ? await this.client.readAll(budgetRequests(more)) : [];
    this.#entities = [...read, ...cells.filter(isHeld)];
  }

  async push(program: DeviceProgram, deviceConfig: Uint8Array): Promise<void> {
    const { p4info, cookie } = program;
    const config = { p4info, deviceConfig, cookie };
    const options = { timeoutMs: this.#pushTimeoutMs };
    if (program.joins) await this.client.pipeline.reconcile(config, options);
    else await this.client.pipeline.commit(config, options);
    await this.readCookie();
    if (this.#cookie !== cookie)
      refuse('device-kept-other', { device: this.spec.name, step: 'program', what: 'the cookie is another' });
    this.program = program;
    await this.readEntities();
  }

  /** Updates that make the entities of `part` what is wanted of them. */
  changes(wanted: readonly Entity[], part: (entity: Entity) => boolean = () => true): readonly Update[] {
    return this.changesBetween(this.#entities.filter(part), wanted.filter(part));
  }

  changesBetween(before: readonly Entity[], after: readonly Entity[]): readonly Update[] {
    return difference(before, after, NONE);
  }

  /**
   * Makes the entities of `part` what is wanted, reads back and compares. Nothing is written where nothing differs; a
   * failed write is taken back as a whole.
   * @returns the updates that were made
   */
  async make(
    step: string,
    wanted: readonly Entity[],
    part: (entity: Entity) => boolean,
  ): Promise<readonly Update[]> {
    const updates = this.changes(wanted, part);
    if (updates.length === 0) return updates;
    try {
      await this.client.write(updates, { onError: 'rollback' });
    } catch (error) {
      // What is there now decides what is undone; a device that is gone cannot be asked, and why the write failed is the news.
      await this.readEntities().catch(() => {});
      throw error;
    }
    // One that is lost in between has not kept something else: nobody knows what it has kept.
    await this.readEntities();
    const left = this.changes(wanted, part);
    if (left.length > 0) refuse('device-kept-other', { device: this.spec.name, step, what: differing(left) });
    return updates;
  }

  close(): Promise<void> {
    return this.client.close();
  }
}

/** Slots that hold weights, or are named by a version. */
const slotsOf = (entities: readonly Entity[]): ReadonlySet<number> =>
  new Set(entities.flatMap((e) => (isWeights(e) ? [slotOf(e)] : isOf(models, e) ? [holdSlot(e)] : [])));

const SHOWN = 4;

function differing(updates: readonly Update[]): string {
  const keys = updates.slice(0, SHOWN).map((u) => keyOf(u.entity ?? {}));
  const more = updates.length > SHOWN ? `, and ${updates.length - SHOWN} more` : '';
  return `${keys.join(', ')}${more}`;
}
