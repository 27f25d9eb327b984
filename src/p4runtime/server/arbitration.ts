import { status } from '@grpc/grpc-js';
import { electionIdOf, MAX_ELECTION_STEP, toUint128 } from '../election.ts';
import type { Init, Message } from '../proto/messages.ts';
import { denied, exhausted, Fault, invalid, precondition } from './fault.ts';
import { mayTake, type Peer } from './peer.ts';

/** One stream of a controller. */
export interface Controller {
  readonly peer: Peer;
  /** Ends the stream. */
  end(fault: Fault): void;
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

/** A role's name is kept, logged and sent back. */
const LONGEST_ROLE = 128;
/** Roles that a device remembers, the default role aside. */
const MOST_ROLES = 64;
/**
 * Streams of one client in one role. One would do for a controller that is alone, but a name stands for a service: its primary
 * and a backup share it, and each of them may come back while the stream that it lost still counts.
 */
const SEATS_A_PEER = 4;

interface ArbitrationOptions {
  /** Streams that the device serves. */
  readonly maxStreams: number;
  /** Whether a role's configuration is as agreed. */
  readonly acceptsRole: (role: Message<'Role'> | undefined) => boolean;
  /** Resolves when the Writes that are running are done: only then a new primary may begin. */
  readonly idle: () => Promise<void>;
  /** Hears of each change: the id of the primary, undefined where there is none. */
  readonly onPrimary?: (role: string, electionId: bigint | undefined) => void;
}

/** Names of clients are known from certificates only; without them all clients are the same. */
const samePeer = (a: Controller, b: Controller): boolean => a.peer.name !== '' && a.peer.name === b.peer.name;

/** Roles are names since 1.4; before that they were numbers, and 0 and the empty name are the default role. */
const roleName = (role: { readonly name: string; readonly id: bigint } | undefined): string =>
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
    const fault = this.#fault(controller, known, role, electionId, update);
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

  /** Whether an RPC with this role and id is the primary's: an id is no secret, so the client must be that one's too. */
  isPrimary(role: string, electionId: Message<'Uint128'> | undefined, { name }: Peer): boolean {
    const primary = this.#roles.get(role)?.primary;
    return (
      primary !== undefined &&
      electionId !== undefined &&
      primary.electionId === electionIdOf(electionId) &&
      primary.controller.peer.name === name
    );
  }

  /** Whether a client is the primary of any role. */
  hasPrimaryOf({ name }: Peer): boolean {
    return [...this.#roles.values()].some(({ primary }) => primary?.controller.peer.name === name);
  }

  /** Ends all streams, and forgets which ids there were. */
  reset(): void {
    for (const controller of [...this.#seats.keys()]) {
      this.leave(controller);
      controller.end(new Fault(status.ABORTED, 'the operator has reset the elections: bid again'));
    }
    this.#roles.clear();
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
    controller: Controller,
    seat: Seat | undefined,
    role: string,
    electionId: bigint | undefined,
    update: Message<'MasterArbitrationUpdate'>,
  ): Fault | undefined {
    if (seat !== undefined && (seat.role !== role || update.deviceId !== this.#deviceId))
      return precondition('a stream keeps its device and role');
    if (role.length > LONGEST_ROLE)
      return invalid(`a role’s name of ${role.length} characters: it may have ${LONGEST_ROLE}`);
    if (!mayTake(controller.peer, role)) return denied(`role ${role || '(default)'} is not one of yours`);
    if (!this.#options.acceptsRole(update.role))
      return invalid(`role ${role || '(default)'} or its config is not as agreed`);
    if (seat === undefined && this.#seats.size >= this.#options.maxStreams)
      return exhausted(`the device serves ${this.#options.maxStreams} streams`);
    const state = this.#roles.get(role);
    const others = [...(state?.seats ?? [])].filter((other) => other !== seat);
    if (seat === undefined && others.filter((o) => samePeer(o.controller, controller)).length >= SEATS_A_PEER)
      return exhausted(`a client has at most ${SEATS_A_PEER} streams in one role`);
    if (state === undefined && !this.#makeRoom()) return exhausted(`the device serves ${MOST_ROLES} roles`);
    if (electionId === undefined) return undefined;
    if (others.some((other) => other.electionId === electionId))
      return invalid(`election id ${electionId} is another controller's`);
    const highest = state?.highest ?? 0n;
    return electionId - highest > MAX_ELECTION_STEP
      ? invalid(`election id ${electionId} is more than 2^120 above ${highest}, the highest so far`)
      : undefined;
  }

  /** A role that nobody has had for the longest gives way. @returns whether there is room for one more */
  #makeRoom(): boolean {
    if (this.#roles.size < MOST_ROLES) return true;
    for (const [name, { seats }] of this.#roles)
      if (name !== '' && seats.size === 0) return this.#roles.delete(name);
    return false;
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
