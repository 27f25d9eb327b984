import { setTimeout as sleep } from 'node:timers/promises';
import type { Diagnostic } from '../diagnostics/index.ts';
import { classCount } from '../model/classes.ts';
import { budgetText } from './budget.ts';
import { type Effect, writesOf } from './core/effects.ts';
import { isInUse, type KnownProgram, type ObservedDevice, weightsIn } from './core/observed.ts';
import type { Done, Endpoint } from './core/run.ts';
import { updatesOf, type Write } from './core/updates.ts';
import { type DeviceCounts, readDeviceCounts } from './device-counts.ts';
import { deviceDiagnostics } from './device-errors.ts';
import {
  type ClientHolder,
  type DeviceAddress,
  DeviceSession,
  type SessionOptions,
} from './device-session.ts';
import { type FlowDeviceReport, readFlowCounts } from './flow-counts.ts';
import { classifiesFlows, type DeviceProgram } from './program.ts';
import type { DeployStep } from './report.ts';
import { weightsDigest } from './versions.ts';

/** How long a packet may be between two tables of one device. */
const INSIDE_MS = 100;

/** What a device loads for a program: compiled now, or kept from before. @throws DiagnosticError */
export type CompileProgram = (program: DeviceProgram) => Promise<Uint8Array>;

/** A device over P4Runtime: what runs on it, what it holds, and the effects of steps. */
export class DeviceEndpoint implements Endpoint {
  readonly session: DeviceSession;
  readonly #spec: DeviceAddress;
  readonly #compile: CompileProgram;
  #known: KnownProgram | undefined;
  /** What the device was pushed, where more programs may come beside. */
  #running: Uint8Array | undefined;

  constructor(spec: DeviceAddress, holder: ClientHolder, compile: CompileProgram, options: SessionOptions) {
    this.#spec = spec;
    this.#compile = compile;
    this.session = new DeviceSession(spec, holder, options);
  }

  get name(): string {
    return this.#spec.name;
  }

  /**
   * Connects and reads, anew each time.
   * @param candidates programs that may be the one that runs; each is planned only if none before it is
   * @param wanted index of the one that is to run; default the last
   * @throws P4RuntimeError
   */
  async open(candidates: Iterable<() => KnownProgram>, wanted?: number): Promise<void> {
    this.#known = undefined;
    this.#running = undefined;
    await this.session.connect();
    await this.session.readCookie();
    const list = [...candidates];
    for (const [i, candidate] of list.entries()) {
      const known = candidate();
      if (this.session.cookie !== known.program.cookie) continue;
      this.#known = known;
      this.session.program = known.program;
      await this.session.readEntities();
      // It may have to take another of them beside it.
      if (known.program.beside !== undefined && i !== (wanted ?? list.length - 1))
        this.#running = await this.session.readConfig();
      return;
    }
    await this.#readShared(list);
  }

  /** Of several programs one may be ours, whatever the others are. */
  async #readShared(candidates: Iterable<() => KnownProgram>): Promise<void> {
    if (this.session.cookie === 'none') return;
    for (const candidate of candidates) {
      const known = candidate();
      const { program } = known;
      if (program.beside === undefined) continue;
      if (this.#running === undefined) {
        this.#running = await this.session.readConfig();
        this.session.program = program;
        await this.session.readEntities();
      }
      const beside = program.beside(this.#running, (slot) => isInUse(this.observed, slot));
      if (!beside?.runs) continue;
      this.#known = { ...known, program: beside.program };
      return;
    }
  }

  /** What runs, as far as it is known. */
  get known(): KnownProgram | undefined {
    return this.#known;
  }

  get observed(): ObservedDevice {
    const { cookie, entities } = this.session;
    const running = this.#running;
    return {
      on: 'device',
      name: this.name,
      cookie,
      known: this.#known,
      ...(running && { running }),
      entities,
    };
  }

  /** What it has counted; undefined while it is not known what runs. @throws P4RuntimeError */
  async counts(): Promise<DeviceCounts | undefined> {
    if (this.#known === undefined && this.#running === undefined) return undefined;
    if (this.#known !== undefined && classifiesFlows(this.#known.program)) return undefined;
    return await readDeviceCounts(this.session.client, this.observed);
  }

  /** The same of one that classifies flows; undefined of others. @throws P4RuntimeError */
  async flowCounts(): Promise<FlowDeviceReport | undefined> {
    if (this.#known === undefined || !classifiesFlows(this.#known.program)) return undefined;
    return await readFlowCounts(this.session.client, classCount(this.#known.base));
  }

  /** Reads again what it holds. @throws P4RuntimeError */
  refresh(): Promise<void> {
    return this.session.readEntities();
  }

  /** @throws P4RuntimeError, DiagnosticError */
  async perform(effect: Effect): Promise<Done> {
    if (effect.do === 'push') return await this.push(effect.known);
    const writes = writesOf(effect, this.observed);
    const step = stepNames[effect.do];
    let updates = 0;
    for (const [i, write] of writes.entries()) {
      if (updates > 0 && this.#differs(write)) await sleep(INSIDE_MS);
      const isLast = i === writes.length - 1;
      updates += (
        await this.session.make(isLast || effect.do === 'forward' ? step : 'remove', write.wanted, write.part)
      ).length;
    }
    return { outcome: updates > 0 ? 'done' : 'unchanged', detail: this.#detail(effect, updates) };
  }

  async push(known: KnownProgram): Promise<Done> {
    await this.session.push(known.program, await this.#compile(known.program));
    this.#known = known;
    this.#running = undefined;
    return {
      outcome: 'done',
      detail: `pushed${known.program.joins ? ' beside others' : ''}, cookie ${known.program.cookie.toString(16)}`,
    };
  }

  #differs(write: Write): boolean {
    return updatesOf(this.session.entities, write).length > 0;
  }

  #detail(effect: Exclude<Effect, { do: 'push' }>, updates: number): string {
    switch (effect.do) {
      case 'load': {
        const { slot } = effect;
        const digest = slot === undefined ? 'none' : weightsDigest(weightsIn(this.observed, slot));
        return `version ${effect.version.version} in slot ${slot}, read back, digest ${digest.slice(0, 12)}`;
      }
      case 'know': {
        const limit = effect.budget === undefined ? '' : `, budget ${budgetText(effect.budget)}`;
        return `version ${effect.version}${limit}`;
      }
      case 'point':
        return `version ${effect.version ?? 'none'}`;
      case 'forward':
        return `${effect.entities.length} entries, ${updates} changed`;
      case 'classify':
        return `${effect.entities.length} entries beside the weights, ${updates} changed`;
      case 'withdraw':
        return updates === 0 ? 'nothing to remove' : `${updates} entries`;
    }
  }

  /** What a failure of a step means for whoever deploys. */
  fault(step: DeployStep, error: unknown): readonly Diagnostic[] {
    return deviceDiagnostics(this.#spec, step, this.session.client.session.electionId, error);
  }
}

/** The step that an effect is part of, as messages name it. */
const stepNames = {
  load: 'weights',
  know: 'version',
  point: 'current',
  forward: 'forwarding',
  classify: 'flows',
  withdraw: 'remove',
} as const satisfies Record<Exclude<Effect['do'], 'push'>, DeployStep>;
