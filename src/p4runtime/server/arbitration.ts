import { status } from '@grpc/grpc-js';
import { electionIdOf, toUint128 } from '../election.ts';
import type { Init, Message } from '../proto/messages.ts';
import { exhausted, type Fault, invalid, precondition } from './fault.ts';

/** One stream of a controller. */
export interface Controller {
  send(message: Init<'StreamMessageResponse'>): void;
}

interface Seat {
  readonly controller: Controller;
  readonly role: string;
  electionId: bigint | undefined;
}

interface RoleState {
  /** Highest id that ever was primary; outlives its stream. */
  highest: bigint | undefined;
  primary: Seat | undefined;
  /** Of the last primary. */
  config: Message<'Role'>['config'];
  readonly seats: Set<Seat>;
}

export interface ArbitrationOptions {
  /** Streams that the device serves. */
  readonly maxStreams: number;
  /** Whether a role's configuration is as agreed. */
  readonly acceptsRole: (role: Message<'Role'> | undefined) => boolean;
  /** Resolves when the Writes that are running are done: only then a new primary may begin. */
  readonly idle: () => Promise<void>;
  /** Hears of each change: the id of the primary, undefined where there is none. */
  readonly onPrimary?: (role: string, electionId: bigint | undefined) => void;
}

/** Roles are names since 1.4; before that they were numbers, and 0 and the empty name are the default role. */
export const roleName = (role: { readonly name: string; readonly id: bigint } | undefined): string =>
  role === undefined ? '' : role.name !== '' ? role.name : role.id === 0n ? '' : `#${role.id}`;

/** Who may write to one device (sections "Client Arbitration and Controller Replication" and its subsections). */
export class Arbitration {
  readonly #deviceId: bigint;
  readonly #options: ArbitrationOptions;
  readonly #seats = new Map<Controller, Seat>();
  readonly #roles = new Map<string, RoleState>();

  constructor(deviceId: bigint, options: ArbitrationOptions) {
    this.#deviceId = deviceId;
    this.#options = options;
  }

  /** Handles a bid. @throws Fault with which the stream is to end */
  bid(controller: Controller, update: Message<'MasterArbitrationUpdate'>): void {
    const role = roleName(update.role);
    const electionId = update.electionId === undefined ? undefined : electionIdOf(update.electionId);
    const known = this.#seats.get(controller);
    const fault = this.#fault(known, role, electionId, update);
    if (fault !== undefined) throw fault;
    const state = this.#role(role);
    const seat = known ?? { controller, role, electionId };
    const changed = known === undefined || known.electionId !== electionId;
    seat.electionId = electionId;
    this.#seats.set(controller, seat);
    state.seats.add(seat);
    this.#settle(state, seat, changed, update.role?.config);
  }

  /** The stream is gone. Nobody is promoted: the backups are told, and may bid. */
  leave(controller: Controller): void {
    const seat = this.#seats.get(controller);
    if (seat === undefined) return;
    this.#seats.delete(controller);
    const state = this.#role(seat.role);
    state.seats.delete(seat);
    if (state.primary !== seat) return;
    state.primary = undefined;
    this.#options.onPrimary?.(seat.role, undefined);
    this.#tellAll(state);
  }

  /** Whether an RPC with this role and id is the primary's. */
  isPrimary(role: string, electionId: Message<'Uint128'> | undefined): boolean {
    const primary = this.#roles.get(role)?.primary;
    return (
      primary !== undefined && electionId !== undefined && primary.electionId === electionIdOf(electionId)
    );
  }

  isPrimaryStream(controller: Controller): boolean {
    const seat = this.#seats.get(controller);
    return seat !== undefined && this.#roles.get(seat.role)?.primary === seat;
  }

  has(controller: Controller): boolean {
    return this.#seats.has(controller);
  }

  /** The primaries of all roles. */
  primaries(): readonly Controller[] {
    return [...this.#roles.values()].flatMap((state) =>
      state.primary === undefined ? [] : [state.primary.controller],
    );
  }

  #fault(
    seat: Seat | undefined,
    role: string,
    electionId: bigint | undefined,
    update: Message<'MasterArbitrationUpdate'>,
  ): Fault | undefined {
    if (seat !== undefined && (seat.role !== role || update.deviceId !== this.#deviceId))
      return precondition('a stream keeps its device and role');
    if (!this.#options.acceptsRole(update.role))
      return invalid(`role ${role || '(default)'} or its config is not as agreed`);
    if (seat === undefined && this.#seats.size >= this.#options.maxStreams)
      return exhausted(`the device serves ${this.#options.maxStreams} streams`);
    const taken = [...this.#role(role).seats].some(
      (other) => other !== seat && other.electionId === electionId,
    );
    return taken && electionId !== undefined
      ? invalid(`election id ${electionId} is another controller's`)
      : undefined;
  }

  #role(role: string): RoleState {
    const state = this.#roles.get(role) ?? {
      highest: undefined,
      primary: undefined,
      config: undefined,
      seats: new Set(),
    };
    this.#roles.set(role, state);
    return state;
  }

  #settle(state: RoleState, seat: Seat, changed: boolean, config: Message<'Role'>['config']): void {
    const id = seat.electionId;
    if (id !== undefined && (state.highest === undefined || id >= state.highest)) {
      const same = state.primary === seat;
      state.highest = id;
      state.primary = seat;
      state.config = config;
      if (!same || changed) this.#options.onPrimary?.(seat.role, id);
      // Whoever was primary is not from here on; the new one begins when that one's last Write is done.
      this.#tellAll(state, same && !changed ? undefined : seat);
    } else if (state.primary === seat) {
      state.primary = undefined;
      this.#options.onPrimary?.(seat.role, undefined);
      this.#tellAll(state);
    } else this.#tell(state, seat);
  }

  #tellAll(state: RoleState, later?: Seat): void {
    for (const seat of state.seats) if (seat !== later) this.#tell(state, seat);
    if (later === undefined) return;
    void this.#options.idle().then(() => {
      if (state.primary === later) this.#tell(state, later);
    });
  }

  #tell(state: RoleState, seat: Seat): void {
    const { config, highest } = state;
    const [code, message] =
      state.primary === seat
        ? [status.OK, 'you are the primary']
        : state.primary === undefined
          ? [status.NOT_FOUND, 'there is no primary']
          : [status.ALREADY_EXISTS, 'you are a backup'];
    seat.controller.send({
      arbitration: {
        deviceId: this.#deviceId,
        ...(seat.role !== '' && { role: { name: seat.role, ...(config !== undefined && { config }) } }),
        ...(highest !== undefined && { electionId: toUint128(highest) }),
        status: { code, message },
      },
    });
  }
}
