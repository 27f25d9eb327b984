import type { Init, Message } from '../proto/messages.ts';
import { Arbitration, type Controller } from './arbitration.ts';
import type { Work } from './batch.ts';
import { checkBytes } from './check-match.ts';
import type { P4Device, RoleFilter } from './device.ts';
import { DigestLists } from './digest-lists.ts';
import { denied, errorOf, Fault, invalid, notFound } from './fault.ts';
import { mayTake, type Peer } from './peer.ts';
import { PipelineState } from './pipeline-state.ts';
import { Portions } from './portions.ts';
import { readEntity } from './read.ts';
import { Turns } from './turns.ts';
import { checkAtomicity } from './write.ts';
import { writeGroup } from './write-group.ts';

/** What one device is to controllers, whichever door they come in by. */
export interface DeviceServerOptions {
  readonly deviceId: bigint;
  readonly maxStreams: number;
  /** What each named role may touch; left out, roles of any name may touch everything. */
  readonly roles?: Readonly<Record<string, RoleFilter>>;
  /** Whether a role's configuration is as agreed; default: only none. */
  readonly acceptsRoleConfig?: (role: Message<'Role'>) => boolean;
  /** Hears of what happens, for a log. */
  readonly onEvent?: (event: DeviceEvent) => void;
}

/** What a server tells its log. */
export type DeviceEvent =
  /** Another controller may write, or none (undefined). */
  | { readonly kind: 'primary'; readonly role: string; readonly electionId: bigint | undefined }
  | { readonly kind: 'pipeline'; readonly action: string; readonly cookie: bigint | undefined }
  | { readonly kind: 'write'; readonly updates: number; readonly failed: number };

/** What a Read found. */
export interface ReadOutcome {
  readonly found: readonly (readonly Init<'Entity'>[])[];
  readonly errors: readonly Init<'Error'>[] | undefined;
}

/** Writes that are done in one turn. */
interface WriteTurn {
  readonly works: Work[];
  readonly outcomes: Promise<readonly (readonly Init<'Error'>[] | undefined)[]>;
}

/** Of one turn: a Read waits for all of them. */
const MOST_WRITES = 16;

interface Identified {
  readonly role: string;
  readonly roleId?: bigint;
  readonly electionId?: Message<'Uint128'>;
}

const roleOf = ({ role, roleId = 0n }: Identified): string =>
  role === '' && roleId !== 0n ? `#${roleId}` : role;

/** The standard's side of one device: arbitration, pipeline, writes, reads, the stream. Knows nothing of gRPC but codes. */
export class DeviceServer {
  readonly arbitration: Arbitration;
  readonly #device: P4Device;
  readonly #options: DeviceServerOptions;
  readonly #pipeline: PipelineState;
  readonly #turns = new Turns();
  /** Writes whose turn has not come yet. */
  #group: WriteTurn | undefined;
  readonly #digests = new DigestLists((digest) => this.#toPrimaries({ digest }));

  constructor(device: P4Device, options: DeviceServerOptions) {
    this.#device = device;
    this.#options = options;
    this.#pipeline = new PipelineState(device);
    this.arbitration = new Arbitration(options.deviceId, {
      maxStreams: options.maxStreams,
      acceptsRole: (role) => this.#acceptsRole(role),
      idle: () => this.#turns.idle(),
      onPrimary: (role, electionId) => this.#event({ kind: 'primary', role, electionId }),
    });
    device.attach?.({
      packetIn: (packet) => this.#toPrimaries({ packet }),
      digest: (digestId, data) => {
        this.#digests.add(digestId, data, this.#pipeline.current()?.store.digests.get(digestId));
      },
      idleTimeout: (entries) => this.#idleTimeout(entries),
    });
  }

  /** Goes on from what the device kept of an earlier process; requests wait for it. */
  restore(): Promise<void> {
    return this.#turns.run(() => this.#pipeline.restore());
  }

  /** @returns errors an update, or undefined where all went well. @throws Fault for the call as a whole */
  write(request: Message<'WriteRequest'>, peer: Peer): Promise<readonly Init<'Error'>[] | undefined> {
    const allowed = this.#requirePrimary(request, peer);
    const { rollback } = checkAtomicity(request.atomicity);
    return this.#inGroup({ updates: request.updates, allowed, rollback });
  }

  /** With those that wait for the same turn. */
  #inGroup(work: Work): Promise<readonly Init<'Error'>[] | undefined> {
    let group = this.#group;
    if (group === undefined || group.works.length >= MOST_WRITES) {
      const works: Work[] = [];
      const outcomes = this.#turns.run(() => this.#writeAll(works));
      group = { works, outcomes };
      this.#group = group;
    }
    const at = group.works.push(work) - 1;
    return group.outcomes.then((outcomes) => outcomes[at]);
  }

  async #writeAll(works: readonly Work[]): Promise<readonly (readonly Init<'Error'>[] | undefined)[]> {
    // Its turn has come: who comes now waits for the next.
    if (this.#group?.works === works) this.#group = undefined;
    const loaded = this.#pipeline.required();
    const device = this.#pipeline.isLive() ? this.#device : {};
    const outcomes = await writeGroup(loaded, device, works, () => this.#pipeline.state());
    for (const [i, { updates }] of works.entries()) {
      const failed = outcomes[i]?.filter((e) => e.canonicalCode !== undefined).length ?? 0;
      this.#event({ kind: 'write', updates: updates.length, failed });
    }
    return outcomes;
  }

  /**
   * What was found, in portions that fit a message, and what was wrong with each request, if anything.
   * @throws Fault for the call as a whole
   */
  read(request: Message<'ReadRequest'>, peer: Peer): Promise<ReadOutcome> {
    const role = roleOf(request);
    const allowed = this.#filter(role);
    if (!mayTake(peer, role)) throw denied('the role is not one of yours');
    // What is written from here on comes after it.
    this.#group = undefined;
    return this.#turns.run(async () => {
      const { index, store } = this.#pipeline.required();
      const errors: Init<'Error'>[] = [];
      const portions = new Portions();
      for (const entity of request.entities)
        try {
          const found = await readEntity({ index, store, device: this.#device }, entity);
          portions.add(allowed === undefined ? found : found.filter(allowed));
          errors.push({});
        } catch (error) {
          if (portions.full) throw error;
          errors.push(errorOf(error));
        }
      const failed = errors.some((e) => e.canonicalCode !== undefined);
      return { found: portions.all, errors: failed ? errors : undefined };
    });
  }

  /** @throws Fault */
  setPipeline(request: Message<'SetForwardingPipelineConfigRequest'>, peer: Peer): Promise<void> {
    this.#requirePrimary(request, peer);
    this.#group = undefined;
    return this.#turns.run(async () => {
      const { action } = request;
      await this.#pipeline.set(request);
      if (action !== 'VERIFY') this.#digests.clear();
      if (action !== 'VERIFY' && action !== 'VERIFY_AND_SAVE')
        await this.#device.save?.(() => this.#pipeline.state(), undefined);
      const cookie = this.#pipeline.current()?.config.cookie?.cookie;
      this.#event({ kind: 'pipeline', action: String(action), cookie });
    });
  }

  getPipeline({
    responseType,
  }: Message<'GetForwardingPipelineConfigRequest'>): Init<'ForwardingPipelineConfig'> | undefined {
    const config = this.#pipeline.current()?.config;
    if (config === undefined) return undefined;
    const { p4info, p4DeviceConfig, cookie } = config;
    const info = responseType === 'ALL' || responseType === 'P4INFO_AND_COOKIE';
    const program = responseType === 'ALL' || responseType === 'DEVICE_CONFIG_AND_COOKIE';
    return { ...(info && { p4info }), ...(program && { p4DeviceConfig }), cookie };
  }

  /** A message of a controller's stream. @throws Fault with which the stream is to end */
  async receive(controller: Controller, message: Message<'StreamMessageRequest'>): Promise<void> {
    if (message.arbitration !== undefined) this.arbitration.bid(controller, message.arbitration);
    else if (message.packet !== undefined) {
      const packetOut = message.packet;
      await this.#complain(controller, { packetOut: { packetOut } }, () =>
        this.#packetOut(controller, packetOut),
      );
    } else if (message.digestAck !== undefined) {
      const digestListAck = message.digestAck;
      await this.#complain(controller, { digestListAck: { digestListAck } }, () =>
        this.#acknowledge(controller, digestListAck),
      );
    } else
      await this.#complain(
        controller,
        message.other === undefined ? {} : { other: { other: message.other } },
        () => {
          throw invalid('the message is of no kind that this device knows');
        },
      );
  }

  /** @throws Fault NOT_FOUND for the role, PERMISSION_DENIED */
  #requirePrimary(request: Identified, peer: Peer): RoleFilter | undefined {
    const role = roleOf(request);
    const filter = this.#filter(role);
    if (!this.arbitration.isPrimary(role, request.electionId, peer))
      throw denied('the election id is not the primary’s');
    return filter;
  }

  #filter(role: string): RoleFilter | undefined {
    const { roles } = this.#options;
    if (role === '' || roles === undefined) return undefined;
    const filter = roles[role];
    if (filter === undefined) throw notFound(`there is no role ${role}`);
    return filter;
  }

  #acceptsRole(role: Message<'Role'> | undefined): boolean {
    if (role === undefined) return true;
    if (this.#options.roles !== undefined && role.name !== '' && !(role.name in this.#options.roles))
      return false;
    return role.config === undefined || (this.#options.acceptsRoleConfig?.(role) ?? false);
  }

  async #packetOut(controller: Controller, packet: Message<'PacketOut'>): Promise<void> {
    if (!this.arbitration.isPrimaryStream(controller)) throw denied('packets are the primary’s to send');
    const header = this.#pipeline.required().index.headers.find('packet_out');
    const metadata = packet.metadata.map(({ metadataId, value }) => {
      const field = header?.fields.find(metadataId);
      if (field === undefined) throw invalid(`there is no packet metadata ${metadataId}`);
      return { metadataId, value: checkBytes(field, value) };
    });
    const given = new Set(metadata.map((m) => m.metadataId));
    if (given.size < metadata.length || given.size < (header?.fields.size ?? 0))
      throw invalid('each field of packet_out is given once');
    await this.#device.packetOut?.({ payload: packet.payload, metadata });
  }

  #acknowledge(controller: Controller, ack: Message<'DigestListAck'>): void {
    if (!this.arbitration.isPrimaryStream(controller))
      throw denied('digests are the primary’s to acknowledge');
    if (this.#pipeline.current()?.index.digests.find(ack.digestId) === undefined)
      throw invalid(`there is no digest ${ack.digestId}`);
    this.#digests.acknowledge(ack);
  }

  /** The stream stays open behind a fault of a message (section "Stream Error Reporting"). */
  async #complain(controller: Controller, details: Init<'StreamError'>, work: () => unknown): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      controller.send({ error: { canonicalCode: error.code, message: error.message, ...details } });
    }
  }

  #idleTimeout(entries: readonly Init<'TableEntry'>[]): void {
    if (entries.length === 0) return;
    const tableEntry = entries.map(
      ({ tableId, match, priority, metadata, controllerMetadata, idleTimeoutNs }) => ({
        tableId,
        match,
        priority,
        metadata,
        controllerMetadata,
        idleTimeoutNs,
      }),
    );
    this.#toPrimaries({
      idleTimeoutNotification: { tableEntry, timestamp: BigInt(Date.now()) * 1_000_000n },
    });
  }

  #toPrimaries(message: Init<'StreamMessageResponse'>): void {
    for (const controller of this.arbitration.primaries()) controller.send(message);
  }

  #event(event: DeviceEvent): void {
    this.#options.onEvent?.(event);
  }

  /** Returns when all that was begun is done. */
  async close(): Promise<void> {
    this.#digests.clear();
    await this.#turns.idle();
  }
}
