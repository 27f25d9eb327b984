import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { type DeviceConfig, decodeDeviceConfig } from '../backends/xdp/device-config.ts';
import {
  BpfError,
  type BpfProgram,
  ensureBpffs,
  KernelCallError,
  openPinnedProgram,
  type XdpMode,
} from '../bpf/index.ts';
import { errnoOf, messageOf } from '../durable/index.ts';
import {
  type Change,
  type DevicePipeline,
  type DeviceSink,
  type DeviceState,
  Fault,
  type Init,
  type P4Device,
} from '../p4runtime/index.ts';
import { exhausted, invalid, precondition } from '../p4runtime/server/fault.ts';
import { toBigInt } from '../p4runtime/values.ts';
import {
  type DataPlane,
  ENTRY_PIN,
  type LoadedPrograms,
  loadPrograms,
  openDataPlane,
  pinDataPlane,
  removePins,
} from './data-plane.ts';
import { FlowTables } from './flow-tables.ts';
import { detachPinned, Interfaces, type PortInterface, type PortState } from './interfaces.ts';
import { NO_COUNT, type ProgramTables } from './program-tables.ts';
import { checkKept, configOf, sharesPrograms } from './pushed-config.ts';
import { RequestTables } from './request-tables.ts';
import { type Kept, PIPELINE_FILES, type Staged, StateFolder } from './state-folder.ts';

const BPFFS = '/sys/fs/bpf';
const LINKS = 'links';
const WATCH_MS = 1_000;
/** Time for which a program that was verified waits to be committed. */
const VERIFIED_MS = 2_000;
const [E2BIG, ENOMEM, ENOSPC] = [7, 12, 28];

/** Of a host as a device of P4Runtime. */
export interface XdpP4DeviceOptions {
  /** Names the pins: letters, digits, `-` and `_`. */
  readonly name: string;
  readonly ports: readonly PortInterface[];
  /** `auto` takes native mode where the driver has it and is no veth. */
  readonly mode?: XdpMode | 'auto';
  /** Network namespace of the interfaces: a name of `ip netns`, or a path. */
  readonly netns?: string;
  readonly stateFolder: string;
  /** Hears of what happens, for a log. */
  readonly log?: (text: string) => void;
}

/** What runs. */
interface Running {
  readonly config: DeviceConfig;
  readonly generation: string;
  readonly plane: DataPlane;
  readonly tables: ProgramTables;
}

/** Folder of the BPF file system in which a data plane of this name is pinned. */
export const pinsOf = (name: string): string => `${BPFFS}/intransit/${name}`;

/**
 * A Linux host as a device of P4Runtime: the pipeline config is a list of compiled programs with their manifests, tables are
 * maps of theirs, ports are interfaces. Everything is pinned, so the data plane goes on when this process ends, however it ends.
 */
export class XdpP4Device implements P4Device {
  readonly #options: XdpP4DeviceOptions;
  readonly #interfaces: Interfaces;
  readonly #state: StateFolder;
  readonly #pins: string;
  readonly #watch: NodeJS.Timeout;
  #sink: DeviceSink | undefined;
  #running: Running | undefined;
  /** What an earlier process has left on disk. */
  #kept: Kept | undefined;
  #verified:
    | {
        readonly config: object;
        readonly loaded: LoadedPrograms;
        /** The data plane with which it is to go on; undefined if it begins anew. */
        readonly beside: DataPlane | undefined;
        readonly timer: NodeJS.Timeout;
      }
    | undefined;
  /** Whether a change is under way, which the watch must not meet. */
  #busy = 0;

  /** @throws BpfError without root, libbpf or an interface; Error where the state cannot be read */
  constructor(options: XdpP4DeviceOptions) {
    this.#options = options;
    ensureBpffs('intransit');
    this.#pins = pinsOf(options.name);
    this.#interfaces = new Interfaces({
      ports: options.ports,
      mode: options.mode ?? 'auto',
      netns: options.netns,
      pins: join(this.#pins, LINKS),
    });
    this.#state = new StateFolder(options.stateFolder);
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
    this.#watch.unref();
  }

  ports(): readonly PortState[] {
    return this.#interfaces.state();
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  attach(sink: DeviceSink): void {
    this.#sink = sink;
  }

  hasPort(port: Uint8Array): boolean {
    return this.#interfaces.hasPort(Number(toBigInt(port)));
  }

  /** @throws Fault INVALID_ARGUMENT */
  async verify(pipeline: DevicePipeline): Promise<void> {
    const config = configOf(pipeline);
    const running = this.#running?.plane;
    // What has programs in common with what runs is likely to be reconciled with it.
    const beside = running !== undefined && sharesPrograms(running.config, config) ? running : undefined;
    const loaded = await this.#load(config, beside);
    this.#forgetVerified();
    const timer = setTimeout(() => this.#forgetVerified(), VERIFIED_MS);
    timer.unref();
    this.#verified = { config: pipeline.config, loaded, beside, timer };
  }

  /** On disk, then in the kernel, then named on disk. @throws Fault; all is as before then, in the kernel and on disk */
  commit(pipeline: DevicePipeline, keep: boolean, state: readonly Change[]): Promise<void> {
    return this.#alone(async () => {
      const config = configOf(pipeline);
      const old = this.#running;
      if (keep && old !== undefined) checkKept(old.config, config);
      const loaded = await this.#take(pipeline, config, keep ? old?.plane : undefined);
      // Programs of requests work on the maps of those before.
      const beside = keep && config.kind === 'requests' ? old : undefined;
      const generation = StateFolder.newGeneration();
      const folder = join(this.#pins, generation);
      let staged: Staged | undefined;
      let next: Running | undefined;
      try {
        const plane = pinDataPlane(loaded, config, folder, beside?.plane);
        next = this.#begin(config, generation, plane, beside?.plane);
        staged = this.#onDisk(() =>
          this.#state.stage(generation, { config: pipeline.config, changes: state }, plane.tag),
        );
        await next.tables.fill(state, this.ports());
        this.#replaceEntry(plane.entry, old?.plane.entry, staged);
      } catch (error) {
        staged?.discard();
        if (next !== undefined) this.#end(next);
        await beside?.tables.realign?.(this.ports());
        removePins(folder);
        throw error;
      } finally {
        loaded.close();
      }
      this.#running = next;
      next.tables.listen(state.some((c) => c.entity.digestEntry !== undefined));
      if (old !== undefined) this.#end(old);
      this.#sweepPins(next.generation);
    });
  }

  /** @throws Fault; the one before is back then, and the generation on disk */
  #replaceEntry(program: BpfProgram, old: BpfProgram | undefined, staged: Staged): void {
    const found = old === undefined ? this.#foundProgram() : undefined;
    const before = old ?? found;
    try {
      this.#interfaces.attach(program, before);
      try {
        this.#onDisk(() => staged.activate());
      } catch (error) {
        if (before === undefined) this.#interfaces.detach();
        else this.#interfaces.attach(before);
        throw error;
      }
    } finally {
      found?.close();
    }
  }

  /** The program of a data plane that runs, though nothing is known of it. */
  #foundProgram() {
    const generation = this.#attachedGeneration();
    return generation === undefined ? undefined : openPinnedProgram(join(this.#pins, generation, ENTRY_PIN));
  }

  /** The folder of pins whose program is on the interfaces. */
  #attachedGeneration(): string | undefined {
    if (!existsSync(this.#pins)) return undefined;
    const ids = this.#interfaces.programIds();
    return readdirSync(this.#pins).find((name) => {
      const path = join(this.#pins, name, ENTRY_PIN);
      if (name === LINKS || !existsSync(path)) return false;
      using program = openPinnedProgram(path);
      return ids.has(program.info().id);
    });
  }

  /** @throws Fault */
  apply(change: Change): Promise<void> {
    return this.#alone(async () => {
      const running = this.#running;
      if (running === undefined) throw precondition('no program runs');
      await running.tables.set(change);
    });
  }

  readCounter(counterId: number, index: number): Init<'CounterData'> {
    return this.#running?.tables.readCounter(counterId, index) ?? NO_COUNT;
  }

  /** What is on disk, or in the kernel where the disk has lost it; nothing that runs is touched. */
  restore(): readonly DeviceState[] {
    const kept = this.#state.load(
      () => this.#attachedGeneration(),
      (what) => this.#log(`on disk: ${what}`),
    );
    this.#kept = kept;
    if (kept === undefined) {
      this.#leaveAlone('nothing of use is known on disk');
      return [];
    }
    const { config, groups, damage } = kept;
    const all = groups.flat();
    if (damage === undefined)
      return [all, groups.slice(0, -1).flat()].map((changes) => ({ config, changes }));
    const running = this.#kernelState(kept, all);
    if (running !== undefined) {
      this.#log('entries taken from the data plane that runs');
      return [{ config, changes: running }];
    }
    this.#log(
      damage === 'tail'
        ? 'the last Write on disk is not whole, and is left out: see whether its controller knows it as done'
        : 'the entries are lost, and no data plane runs that has them: the program begins without any',
    );
    return (damage === 'tail' ? [all, []] : [[]]).map((changes) => ({ config, changes }));
  }

  unrestored(reason: string): void {
    this.#leaveAlone(`what is known on disk does not fit (${reason})`);
  }

  /** Goes on where an earlier process stopped; what is right in the kernel is not touched. */
  resume(pipeline: DevicePipeline, state: readonly Change[]): Promise<void> {
    return this.#alone(async () => {
      const config = configOf(pipeline);
      const kept = this.#kept!;
      const { generation } = kept;
      const folder = join(this.#pins, generation);
      this.#interfaces.open();
      const pinned = openDataPlane(config, folder, kept.tag);
      const plane = pinned ?? (await this.#loadAndPin(config, folder));
      const next = this.#begin(config, generation, plane, pinned);
      let changed: string;
      try {
        changed = await next.tables.fill(state, this.ports());
        this.#interfaces.attach(plane.entry);
      } catch (error) {
        this.#end(next);
        throw error;
      }
      this.#running = next;
      this.#sweepPins(generation);
      next.tables.listen(state.some((c) => c.entity.digestEntry !== undefined));
      this.#mendDisk({ ...kept, tag: plane.tag }, pipeline, state);
      if (pinned === undefined) this.#log('program loaded again from the kept state');
      else this.#log(`data plane found running${changed === '' ? '' : `; mended ${changed}`}`);
    });
  }

  async #loadAndPin(config: DeviceConfig, folder: string): Promise<DataPlane> {
    const loaded = await this.#load(config);
    try {
      return pinDataPlane(loaded, config, folder);
    } finally {
      loaded.close();
    }
  }

  async checkpoint(state: () => DeviceState): Promise<void> {
    if (this.#running !== undefined) await this.#onDisk(() => this.#state.checkpoint(state));
  }

  async keep(updates: readonly Init<'Update'>[]): Promise<void> {
    if (this.#running !== undefined) await this.#onDisk(() => this.#state.append(updates));
  }

  async amend(updates: readonly Init<'Update'>[]): Promise<void> {
    if (this.#running !== undefined) await this.#onDisk(() => this.#state.amend(updates));
  }

  /** The entries of a program that is pinned; undefined where none is that fits. */
  #kernelState({ config, generation, tag }: Kept, known: readonly Change[]): readonly Change[] | undefined {
    try {
      const decoded = decodeDeviceConfig(config.p4DeviceConfig);
      const plane = openDataPlane(decoded, join(this.#pins, generation), tag);
      if (plane === undefined) return undefined;
      const tables = this.#tablesOf(plane, decoded, plane);
      try {
        return tables.state(this.ports(), known);
      } finally {
        tables.close();
        plane.close();
      }
    } catch (error) {
      this.#log(`the data plane cannot be read: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Where that fails the next Write tries again, or the next start. */
  #mendDisk(kept: Kept, { config }: DevicePipeline, changes: readonly Change[]): void {
    const mended =
      kept.tag === this.#kept?.tag ? kept : { ...kept, mended: [...kept.mended, ...PIPELINE_FILES] };
    try {
      if (mended.mended.length > 0) this.#state.mend(mended);
      if (kept.damage !== undefined) this.#state.beginLog({ config, changes });
      const files = [...kept.mended, ...(kept.damage === undefined ? [] : ['writes.log'])];
      if (files.length > 0) this.#log(`on disk: mended ${files.join(', ')}`);
    } catch (error) {
      this.#log(`on disk: not mended: ${messageOf(error)}`);
    }
  }

  /** A data plane of which nothing is known goes on, until a controller pushes another. */
  #leaveAlone(why: string): void {
    this.#kept = undefined;
    this.#state.forget();
    if (!existsSync(this.#pins)) return;
    this.#interfaces.open();
    this.#log(`a data plane runs of which ${why}: it is left alone until a controller pushes a pipeline`);
  }

  /** @throws Fault that says what the disk said */
  #onDisk<T>(work: () => T): T {
    const refuse = (error: unknown): never => {
      const code = errnoOf(error);
      const reason = `cannot be kept on disk, so it is not done: ${messageOf(error)}`;
      if (code === 'ENOSPC' || code === 'EDQUOT')
        throw exhausted(`${reason}; make room under ${this.#state.path}`);
      throw new Fault(status.INTERNAL, `${reason}; see ${this.#state.path}`);
    };
    try {
      const result = work();
      return result instanceof Promise ? (result.catch(refuse) as T) : result;
    } catch (error) {
      return refuse(error);
    }
  }

  /** Ends this process's part; the data plane goes on. */
  async close(): Promise<void> {
    clearInterval(this.#watch);
    await this.#state.close();
    this.#forgetVerified();
    if (this.#running !== undefined) this.#end(this.#running);
    this.#running = undefined;
    this.#interfaces.close();
  }

  /** Takes the program off all interfaces, and its pins away. What is on disk stays. */
  async detach(): Promise<void> {
    this.#interfaces.detach();
    removeDataPlane(this.#options.name);
    await this.close();
  }

  /** @param before whose maps it goes on with: another's, or its own where it was found running */
  #begin(config: DeviceConfig, generation: string, plane: DataPlane, before: DataPlane | undefined): Running {
    return { config, generation, plane, tables: this.#tablesOf(plane, config, before) };
  }

  #tablesOf(plane: DataPlane, config: DeviceConfig, before: DataPlane | undefined): ProgramTables {
    const inside = <T>(run: () => T): T => this.#interfaces.inside(run);
    const tell = (id: number, data: Init<'P4Data'>): void => this.#sink?.digest(id, data);
    if (config.kind === 'requests') return new RequestTables(plane, config, { before, inside, tell });
    const around = { inside, tell, ports: () => this.ports() };
    return new FlowTables(plane, config, before !== undefined, around);
  }

  #end({ tables, plane }: Running): void {
    tables.close();
    plane.close();
  }

  /** The programs of a pipeline: those that were just verified, if they are it. */
  async #take(
    pipeline: DevicePipeline,
    config: DeviceConfig,
    beside: DataPlane | undefined,
  ): Promise<LoadedPrograms> {
    const verified = this.#verified;
    if (verified?.config !== pipeline.config || verified.beside !== beside) return this.#load(config, beside);
    clearTimeout(verified.timer);
    this.#verified = undefined;
    return verified.loaded;
  }

  async #load(config: DeviceConfig, beside?: DataPlane): Promise<LoadedPrograms> {
    try {
      return await loadPrograms(config, beside);
    } catch (error) {
      if (error instanceof BpfError && error.code === 'bpf-permission') throw error;
      throw invalid(messageOf(error));
    }
  }

  #forgetVerified(): void {
    if (this.#verified === undefined) return;
    clearTimeout(this.#verified.timer);
    this.#verified.loaded.close();
    this.#verified = undefined;
  }

  /** An interface that was deleted and made again has another number, and no program. */
  #look(): void {
    const running = this.#running;
    if (running === undefined || this.#busy > 0) return;
    try {
      const changed = this.#interfaces.refresh();
      if (changed.length === 0) return;
      running.tables.setInterfaces(this.ports());
      this.#interfaces.attach(running.plane.entry);
      const names = changed.map(({ name, port }) => {
        const { ifindex } = this.ports().find((p) => p.port === port)!;
        return `${name} (port ${port}) ${ifindex === 0 ? 'is gone' : 'is there again, attached'}`;
      });
      this.#log(names.join(', '));
    } catch (error) {
      this.#log(`interfaces: ${messageOf(error)}`);
    }
  }

  /** Removes pins of generations that are none any more. */
  #sweepPins(generation: string): void {
    for (const name of readdirSync(this.#pins))
      if (name !== LINKS && name !== generation) removePins(join(this.#pins, name));
  }

  /** Keeps the watch out, and gives errors of the kernel their codes. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      const reason = `${error.message}; ${error.remedy}`;
      if (error instanceof KernelCallError && [E2BIG, ENOMEM, ENOSPC].includes(error.errno))
        throw exhausted(reason);
      if (error.code === 'bpf-attach' || error.code === 'bpf-interface') throw precondition(reason);
      throw new Fault(status.INTERNAL, reason);
    } finally {
      this.#busy--;
    }
  }

  #log(text: string): void {
    this.#options.log?.(text);
  }
}

/** Takes links and pins of that name away. @returns whether there were any */
export function removeDataPlane(name: string): boolean {
  const pins = pinsOf(name);
  if (!existsSync(pins)) return false;
  detachPinned(join(pins, LINKS));
  for (const folder of readdirSync(pins)) removePins(join(pins, folder));
  rmdirSync(pins);
  return true;
}
