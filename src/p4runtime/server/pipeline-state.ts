import { tableEntryKey } from '../entity-key.ts';
import { P4RuntimeError } from '../errors.ts';
import { P4InfoIndex } from '../p4info-index.ts';
import type { Init, Message } from '../proto/messages.ts';
import { v1Codec } from '../proto/registry.ts';
import { checkAction } from './check-action.ts';
import type { Change, DevicePipeline, DeviceState, P4Device } from './device.ts';
import { Fault, invalid, notFound, precondition, unsupported } from './fault.ts';
import { Store } from './store.ts';
import { prepare } from './write.ts';
import { checkKey, programDefault, tableOf } from './write-table.ts';

/** A pipeline with what was written under it. */
export interface Loaded extends DevicePipeline {
  readonly store: Store;
}

const updateCodec = v1Codec('Update');
const entryCodec = v1Codec('TableEntry');
const configCodec = v1Codec('ForwardingPipelineConfig');
type Config = Message<'ForwardingPipelineConfig'>;

/** Which program runs, which is saved, and how one becomes the other (section "SetForwardingPipelineConfig RPC"). */
export class PipelineState {
  readonly #device: P4Device;
  #running: Loaded | undefined;
  #saved: Loaded | undefined;

  constructor(device: P4Device) {
    this.#device = device;
    if (device.fixedPipeline !== undefined) this.#running = this.#load(device.fixedPipeline);
  }

  /** What reads and writes refer to: the saved one as soon as there is one. */
  current(): Loaded | undefined {
    return this.#saved ?? this.#running;
  }

  /** @throws Fault FAILED_PRECONDITION */
  required(): Loaded {
    const loaded = this.current();
    if (loaded === undefined) throw precondition('no pipeline was pushed');
    return loaded;
  }

  /** All that a later process needs to go on from here. */
  state(): DeviceState {
    const { config, store } = this.#running ?? this.required();
    return { config, changes: stateChanges(store) };
  }

  /** Goes on from what the device kept. @throws Fault where that contradicts itself, and the device does not want to hear of it */
  async restore(): Promise<void> {
    const kept = (await this.#device.restore?.()) ?? [];
    let fault: Fault | undefined;
    for (const state of 'config' in kept ? [kept] : kept)
      try {
        return await this.#resume(state);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        fault ??= error;
      }
    if (fault === undefined) return;
    if (this.#device.unrestored === undefined) throw fault;
    await this.#device.unrestored(fault.message);
  }

  async #resume(state: DeviceState): Promise<void> {
    const loaded = this.#load(configCodec.decode(configCodec.encode(state.config)));
    put(state.changes, loaded);
    const changes = stateChanges(loaded.store);
    if (this.#device.resume !== undefined) await this.#device.resume(loaded, changes);
    else await this.#device.commit?.(loaded, false, changes);
    this.#running = loaded;
  }

  /** Whether writes reach the data plane at once. */
  isLive(): boolean {
    return this.#saved === undefined;
  }

  /** @throws Fault; nothing has changed then */
  async set({ action, config }: Message<'SetForwardingPipelineConfigRequest'>): Promise<void> {
    if (this.#device.fixedPipeline !== undefined) throw unsupported('the pipeline is part of the device');
    if (action === 'COMMIT') return this.#commitSaved(config);
    if (action === 'UNSPECIFIED' || typeof action === 'number') throw invalid('the request has no action');
    if (config?.p4info === undefined) throw invalid('the request has no P4Info');
    const loaded = this.#load(config);
    await this.#device.verify?.(loaded);
    switch (action) {
      case 'VERIFY':
        return;
      case 'VERIFY_AND_SAVE':
        this.#saved = loaded;
        return;
      case 'VERIFY_AND_COMMIT':
        await this.#device.commit?.(loaded, false, []);
        break;
      case 'RECONCILE_AND_COMMIT':
        if (this.#running === undefined) throw invalid('there is no state to keep');
        carryOver(this.#running, loaded);
        await this.#device.commit?.(loaded, true, stateChanges(loaded.store));
        break;
    }
    this.#running = loaded;
    this.#saved = undefined;
  }

  async #commitSaved(config: Config | undefined): Promise<void> {
    if (config !== undefined) throw invalid('COMMIT takes no config: it realises the saved one');
    const saved = this.#saved;
    if (saved === undefined) throw notFound('no pipeline is saved');
    await this.#device.commit?.(saved, false, stateChanges(saved.store));
    this.#running = saved;
    this.#saved = undefined;
  }

  #load(config: Config): Loaded {
    const index = indexOf(config);
    const store = new Store(this.#device);
    for (const profile of index.profiles) store.tablesOfProfile.set(profile.id, profile.info.tableIds);
    const loaded = { config, index, store };
    for (const table of index.tables) {
      const action = this.#device.defaultAction?.(loaded, table.id);
      store.ownDefaults.set(table.id, { ...programDefault(table), ...(action !== undefined && { action }) });
    }
    for (const entry of this.#device.initialEntries?.(loaded) ?? []) addInitial(loaded, entry);
    return loaded;
  }
}

function indexOf(config: Config): P4InfoIndex {
  try {
    return new P4InfoIndex(config.p4info ?? {});
  } catch (error) {
    if (error instanceof P4RuntimeError) throw invalid(error.message);
    throw error;
  }
}

/** Entries of the program itself pass by the rules that keep controllers from changing them. */
function addInitial({ index, store }: Loaded, init: Init<'TableEntry'>): void {
  const entry = entryCodec.decode(entryCodec.encode(init));
  const table = tableOf({ index, store }, entry.tableId);
  const key = checkKey(table, entry);
  const action =
    entry.action?.action === undefined ? {} : { action: { action: checkAction(index, entry.action.action) } };
  const isConst = entry.isConst || table.info.isConstTable;
  store.entries(table.id).set(tableEntryKey(key), { ...key, ...action, isConst });
}

/** Everything written, in an order in which it can be written again. */
function writtenEntities(store: Store): readonly Init<'Entity'>[] {
  const profiles = [...store.tablesOfProfile.keys()];
  return [
    ...profiles.flatMap((id) => [...store.members(id).values()].map((m) => ({ actionProfileMember: m }))),
    ...profiles.flatMap((id) => [...store.groups(id).values()].map((g) => ({ actionProfileGroup: g }))),
    ...[...store.multicast.values()].map((g) => ({
      packetReplicationEngineEntry: { multicastGroupEntry: g },
    })),
    ...[...store.clones.values()].map((c) => ({ packetReplicationEngineEntry: { cloneSessionEntry: c } })),
    ...[...store.digests].map(([digestId, config]) => ({ digestEntry: { digestId, config } })),
    ...[...store.externs.values()].flatMap((entries) =>
      [...entries.values()].map((externEntry) => ({ externEntry })),
    ),
    ...[...store.tables.values()].flatMap((entries) =>
      [...entries.values()].filter((e) => !e.isConst).map((tableEntry) => ({ tableEntry })),
    ),
  ];
}

/** Everything that was set, in an order in which it can be set again. */
function stateChanges(store: Store): readonly Change[] {
  const cells = <T>(
    all: ReadonlyMap<number, ReadonlyMap<number, T>>,
    wrap: (id: number, at: number, value: T) => Init<'Entity'>,
  ) => [...all].flatMap(([id, values]) => [...values].map(([at, value]) => wrap(id, at, value)));
  const entities: readonly Init<'Entity'>[] = [
    ...[...store.defaults.values()].map((tableEntry) => ({ tableEntry })),
    ...cells(store.counters, (counterId, index, data) => ({
      counterEntry: { counterId, index: { index }, data },
    })),
    ...cells(store.meters, (meterId, index, config) => ({
      meterEntry: { meterId, index: { index }, config },
    })),
    ...cells(store.registers, (registerId, index, data) => ({
      registerEntry: { registerId, index: { index }, data },
    })),
    ...[...store.valueSets].map(([valueSetId, members]) => ({ valueSetEntry: { valueSetId, members } })),
  ];
  return [
    ...writtenEntities(store).map((entity): Change => ({ type: 'INSERT', entity })),
    ...entities.map((entity): Change => ({ type: 'MODIFY', entity })),
  ];
}

/** @throws Fault INVALID_ARGUMENT where the state does not fit */
function put(changes: readonly Change[], to: Loaded): void {
  for (const { type, entity } of changes) {
    const update = updateCodec.decode(updateCodec.encode({ type, entity }));
    try {
      prepare(to, update).commit();
    } catch (error) {
      throw invalid(`the state does not fit the program: ${error instanceof Error ? error.message : error}`);
    }
  }
}

/** Writes the state of one pipeline into another. @throws Fault INVALID_ARGUMENT where it does not fit */
function carryOver(from: Loaded, to: Loaded): void {
  // What the new program brings along gives way to what there was.
  for (const entries of to.store.tables.values())
    for (const [key, entry] of entries) if (!entry.isConst) entries.delete(key);
  put(stateChanges(from.store), to);
}
