import { models, weightsPlace } from '../backends/common/table-model.ts';
import { type Diagnostic, DiagnosticError } from '../diagnostics/index.ts';
import type { Model } from '../model/model.ts';
import type { Init } from '../p4runtime/index.ts';
import type { DeviceSpec } from './deployment-schema.ts';
import { deviceDiagnostics } from './device-errors.ts';
import { type ClientHolder, DeviceSession, type SessionOptions } from './device-session.ts';
import { forwarder } from './forwarder.ts';
import { forwardingEntities } from './forwarding.ts';
import type { LayerRange } from './planned-layers.ts';
import { type DeviceProgram, type ProgramOptions, programFor } from './program.ts';
import type { DeployStep, DeviceReport, StepReport, TableReport } from './report.ts';
import {
  CURRENT,
  type HeldVersion,
  inSlot,
  isOf,
  isWeights,
  keyOf,
  modelIdEntity,
  SLOTS,
  slotOf,
  versionEntity,
  versionKey,
  weightsDigest,
} from './versions.ts';
import type { ModelSource } from './worker-client.ts';

type Entity = Init<'Entity'>;

/** A model as packets name it. */
export interface ModelVersion {
  readonly model: Model;
  readonly version: number;
  /** The file that it came from, for workers; absent where it came from the state. */
  readonly source?: ModelSource;
}

export interface TaskOptions extends SessionOptions {
  readonly modelId: number;
  readonly port: number;
  readonly mtu: number;
}

/** One device of a deployment: its session, its program, what it should hold, and what was done to it. */
export class DeviceTask {
  readonly spec: DeviceSpec;
  /** Undefined where it only forwards: it holds no version of any model. */
  readonly range: LayerRange | undefined;
  readonly session: DeviceSession;
  readonly steps: StepReport[] = [];
  readonly modelId: number;
  readonly #options: ProgramOptions;
  readonly #programs = new WeakMap<Model, DeviceProgram>();
  readonly #weights = new WeakMap<DeviceProgram, WeakMap<Model, readonly Entity[]>>();
  #base: Model | undefined;
  #program: DeviceProgram | undefined;
  /** As the device was when it was first read: what the report counts changes from. */
  #before: readonly Entity[] = [];

  constructor(spec: DeviceSpec, range: LayerRange | undefined, holder: ClientHolder, options: TaskOptions) {
    this.spec = spec;
    this.range = range;
    this.modelId = options.modelId;
    const { modelId, port, mtu } = options;
    this.#options = { ...(range ?? { from: 0, to: forwarder.layers.length }), modelId, port, mtu };
    this.session = new DeviceSession(spec, holder, options);
  }

  /**
   * Connects and reads, anew each time. The program that runs is one of those for `bases`, or none that is known.
   */
  async open(bases: readonly Model[]): Promise<void> {
    this.steps.length = 0;
    this.#base = undefined;
    this.#program = undefined;
    this.#before = [];
    await this.session.connect();
    await this.session.readCookie();
    for (const base of this.range === undefined ? [forwarder] : bases) {
      const program = this.programOf(base);
      if (this.session.cookie !== program.cookie) continue;
      this.#base = base;
      this.#program = program;
      await this.session.readEntities();
      this.#before = this.session.entities;
      return;
    }
  }

  /** What runs on the device, as far as it is known. */
  get program(): DeviceProgram | undefined {
    return this.#program;
  }

  /** The model for which the program was made. */
  get base(): Model | undefined {
    return this.#base;
  }

  /** @throws DiagnosticError where the layers do not fit such a device; its messages name the device */
  programOf(base: Model): DeviceProgram {
    const known = this.#programs.get(base);
    if (known !== undefined) return known;
    const made = this.range === undefined ? forwarder : base;
    const program = programFor(this.spec.kind, this.#named(made), this.#options);
    this.#programs.set(base, program);
    return program;
  }

  async push(base: Model, program: DeviceProgram, deviceConfig: Uint8Array): Promise<void> {
    await this.session.push(program, deviceConfig);
    this.#base = base;
    this.#program = program;
    this.#before = [];
  }

  versions(): ReadonlyMap<number, HeldVersion> {
    return this.session.versions(this.modelId);
  }

  get current(): number | undefined {
    return this.versions().get(CURRENT)?.version;
  }

  /** A model that is current here and is not this deployment's: a device serves one. */
  otherModel(): number | undefined {
    const keys = this.session.entities.filter((e) => isOf(models, e)).map(versionKey);
    return keys.find(([id, version]) => id !== this.modelId && version === CURRENT)?.[0];
  }

  /** Entries of the weights of a model, for this program. @throws DiagnosticError `envelope-exceeded` */
  weights(model: Model, slot: number): Entity[] {
    if (this.#program === undefined) throw new Error(`the program of ${this.spec.name} is not known`);
    if (this.range === undefined) return [];
    return this.weightsFor(this.#program, model).map((e) => inSlot(e, slot));
  }

  /** The same for a program that the device may get, in the first slot. @throws DiagnosticError `envelope-exceeded` */
  weightsFor(program: DeviceProgram, model: Model): readonly Entity[] {
    const known = this.#weights.get(program) ?? new WeakMap<Model, readonly Entity[]>();
    this.#weights.set(program, known);
    const entities = known.get(model) ?? program.weights(this.#named(model), SLOTS[0]);
    known.set(model, entities);
    return entities;
  }

  /** Weights that a slot of the device holds. */
  weightsIn(slot: number): Entity[] {
    return this.session.entities.filter((e) => isWeights(e) && slotOf(e) === slot);
  }

  /** Slots by what names them; a slot that is named by no entry is free, whatever it holds. */
  slotsInUse(): ReadonlyMap<number, readonly Entity[]> {
    const used = new Map<number, Entity[]>();
    for (const entity of this.session.entities) {
      if (!isOf(models, entity)) continue;
      const slot = holdSlot(entity);
      used.set(slot, [...(used.get(slot) ?? []), entity]);
    }
    return used;
  }

  /** Where the version is, or goes; undefined where both slots are taken by others. */
  slotFor(version: number): number | undefined {
    const held = this.versions().get(version);
    if (held !== undefined) return held.slot;
    const used = this.slotsInUse();
    return SLOTS.find((slot) => !used.has(slot));
  }

  /** What the entry of a version says on this device. */
  heldAs({ model, version }: ModelVersion, slot: number): HeldVersion {
    const { range, spec } = this;
    if (range === undefined) throw new Error(`${spec.name} only forwards`);
    return { version, slot, ...range, layerCount: model.layers.length, threshold: spec.threshold };
  }

  /** All that the device holds once the version is deployed; versions in `keep` stay as they are. */
  wanted(v: ModelVersion, keep: readonly number[]): Entity[] {
    if (this.range === undefined) return this.forwarding();
    const slot = this.slotFor(v.version) ?? this.roomyVersion()?.slot ?? 0;
    const kept = keep.flatMap((version) => {
      const other = this.versions().get(version);
      return other === undefined || other.slot === slot
        ? []
        : [versionEntity(this.modelId, version, other), ...this.weightsIn(other.slot)];
    });
    return [...this.weights(v.model, slot), ...this.#withoutWeights(v, slot), ...kept];
  }

  /** The same, once another program is there. */
  wantedAfter(program: DeviceProgram, v: ModelVersion): Entity[] {
    if (this.range === undefined) return this.forwarding();
    return [...this.weightsFor(program, v.model), ...this.#withoutWeights(v, SLOTS[0])];
  }

  #withoutWeights(v: ModelVersion, slot: number): Entity[] {
    const held = this.heldAs(v, slot);
    return [
      versionEntity(this.modelId, v.version, held),
      versionEntity(this.modelId, CURRENT, held),
      modelIdEntity(this.modelId),
      ...this.forwarding(),
    ];
  }

  forwarding(): Entity[] {
    return forwardingEntities(this.spec, this.modelId);
  }

  /** A slot that may be cleared for another version: one whose version is not current, of whatever model. */
  roomyVersion(): { readonly slot: number; readonly entities: readonly Entity[] } | undefined {
    for (const [slot, entities] of this.slotsInUse())
      if (entities.every((e) => versionKey(e)[1] !== CURRENT)) return { slot, entities };
    return undefined;
  }

  /** What a failure of a step means for whoever deploys. */
  fault(step: DeployStep, error: unknown): readonly Diagnostic[] {
    return deviceDiagnostics(this.spec, step, this.session.client.session.electionId, error);
  }

  /** Reads again what it holds. @throws P4RuntimeError */
  refresh(): Promise<void> {
    return this.session.readEntities();
  }

  note(step: DeployStep, outcome: StepReport['outcome'], detail: string): void {
    this.steps.push({ step, outcome, detail });
  }

  /** @param after entries at the end; default those that are there @param pushed a program that the device is to get */
  report(after: readonly Entity[] = this.session.entities, pushed?: DeviceProgram): DeviceReport {
    const { name, kind, address, deviceId } = this.spec;
    const { cookie } = this.session;
    const current = this.current;
    return {
      name,
      kind,
      address,
      deviceId,
      ...(this.range !== undefined && { layers: this.range }),
      program: typeof cookie === 'bigint' ? cookie.toString(16).padStart(16, '0') : cookie,
      versions: [...this.versions()]
        .filter(([key]) => key !== CURRENT)
        .map(([version, { slot }]) => ({ version, slot, weights: weightsDigest(this.weightsIn(slot)) })),
      ...(current !== undefined && { current }),
      tables: this.#tables(after, pushed),
      steps: [...this.steps],
    };
  }

  /** Changes against the beginning; a program that was pushed began empty. The slots of a layer are one table here. */
  #tables(after: readonly Entity[], pushed?: DeviceProgram): TableReport[] {
    const before = pushed === undefined ? this.#before : [];
    const there = new Set(before.map(keyOf));
    const changes = this.session
      .changesBetween(before, after)
      .map((u) => ({ tableId: tableOf(u.entity), type: typeOf(u, there) }));
    const tables = new Map<string, Set<number>>();
    for (const { preamble } of (pushed ?? this.#program)?.p4info.tables ?? []) {
      const id = preamble?.id ?? 0;
      const place = weightsPlace(id);
      const name = place === undefined ? (preamble?.name ?? `${id}`) : `weights_${place.layer}`;
      tables.set(name, (tables.get(name) ?? new Set()).add(id));
    }
    return [...tables].map(([table, ids]) => {
      const own = changes.filter((c) => ids.has(c.tableId)).map((c) => c.type);
      const count = (type: UpdateType) => own.filter((t) => t === type).length;
      return {
        table,
        entries: after.filter((e) => ids.has(tableOf(e))).length,
        inserted: count('INSERT'),
        modified: count('MODIFY'),
        deleted: count('DELETE'),
      };
    });
  }

  /** Messages about a model on a device name both; the name of the file takes no part in a program. */
  #named = (model: Model): Model => ({ ...model, name: 'model', file: `${model.file} on ${this.spec.name}` });
}

type UpdateType = Init<'Update'>['type'];

const tableOf = (e: Entity | undefined): number => e?.tableEntry?.tableId ?? 0;

/** What an update does: a default action is modified to say something for the first time, or nothing any more. */
function typeOf({ type, entity }: Init<'Update'>, there: ReadonlySet<string>): UpdateType {
  if (!entity?.tableEntry?.isDefaultAction) return type;
  if (entity.tableEntry.action === undefined) return 'DELETE';
  return there.has(keyOf(entity)) ? 'MODIFY' : 'INSERT';
}

const holdSlot = ({ tableEntry }: Entity): number => {
  const value = tableEntry?.action?.action?.params?.find((p) => p.paramId === 1)?.value;
  return Number(`0x0${Buffer.from(value ?? []).toString('hex')}`);
};

/** What a program cannot take of a model; undefined where all fits. */
export function misfit(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof DiagnosticError && error.diagnostics.every((d) => d.code === 'envelope-exceeded'))
      return error.diagnostics.map((d) => d.message.replace(/^.*?: /, '')).join('; ');
    throw error;
  }
}
