import { weightsPlace } from '../backends/common/table-model.ts';
import { PROGRAM_SLOTS } from '../dataplane/abi.ts';
import type { Model } from '../model/model.ts';
import type { Init } from '../p4runtime/index.ts';
import { type Budget, budgetIn } from './budget.ts';
import type { ModelVersion } from './core/desired.ts';
import { currentOn, type Entity, type KnownProgram, type ProgramShape, weightsIn } from './core/observed.ts';
import type { Done } from './core/run.ts';
import { misfit, slotsFor } from './core/slots.ts';
import type { DeviceSpec } from './deployment-schema.ts';
import { type CompileProgram, DeviceEndpoint } from './device-endpoint.ts';
import type { ClientHolder, SessionOptions } from './device-session.ts';
import { forwarder } from './forwarder.ts';
import { forwardingEntities } from './forwarding.ts';
import type { LayerRange } from './planned-layers.ts';
import { type DeviceProgram, programOfShapes, rememberingWeights } from './program.ts';
import type { DeployStep, DeviceReport, StepReport, TableReport } from './report.ts';
import { CURRENT, type HeldVersion, heldVersions, keyOf, weightsDigest } from './versions.ts';

/** UDP port and largest IP packet, in bytes, of programs that are made, beside what a session takes. */
export interface TaskOptions extends SessionOptions {
  readonly port: number;
  readonly mtu: number;
}

/** What a model of the deployment is on a device. */
export interface TaskPart {
  readonly modelId: number;
  /** Undefined where it computes nothing of it. */
  readonly range: LayerRange | undefined;
  readonly threshold: number;
  readonly slot: number | undefined;
  readonly steering: DeviceSpec['steering'];
  /** Undefined where it may compute all that comes. */
  readonly budget: Budget | undefined;
}

/** The version that is current, and the one that is to follow it. */
const LEAST_SLOTS = 2;

/** One device of a deployment: its programs, what it should hold, and what was done to it. */
export class DeviceTask extends DeviceEndpoint {
  readonly spec: DeviceSpec;
  /** Of each model of the deployment, in the order of the file. */
  readonly parts: readonly TaskPart[];
  readonly steps: StepReport[] = [];
  readonly #options: Pick<TaskOptions, 'port' | 'mtu'>;
  /** By the shapes that they compute. */
  readonly #programs = new Map<string, KnownProgram>();
  /** As the device was when it was first read, or got another program: what the report counts changes from. */
  #before: readonly Entity[] = [];

  constructor(
    spec: DeviceSpec,
    parts: readonly TaskPart[],
    holder: ClientHolder,
    compile: CompileProgram,
    options: TaskOptions,
  ) {
    super(spec, holder, compile, options);
    this.spec = spec;
    this.parts = parts;
    this.#options = { port: options.port, mtu: options.mtu };
  }

  /** Models that it computes; without any it only forwards. */
  get computed(): readonly (TaskPart & { readonly range: LayerRange })[] {
    return this.parts.flatMap((p) => (p.range === undefined ? [] : [{ ...p, range: p.range }]));
  }

  /** Connects and reads, anew each time. @param candidates programs that may be the one that runs */
  async read(candidates: readonly (() => KnownProgram)[]): Promise<void> {
    this.steps.length = 0;
    this.#before = [];
    await this.open(candidates);
    this.#before = this.session.entities;
  }

  /**
   * The program for models by their ids: those that fit the program of one before them share it.
   * @throws DiagnosticError where the layers do not fit such a device; its messages name the device
   */
  programOf(models: ReadonlyMap<number, Model>): KnownProgram {
    const shapes: (Omit<ProgramShape, 'slots'> & { members: number })[] = [];
    for (const { modelId, range } of this.computed) {
      const model = models.get(modelId);
      if (model === undefined) throw new Error(`model ${modelId} is none of the deployment`);
      const found = shapes.find(
        ({ base, from, to }) => from === range.from && to === range.to && this.#fits(base, range, model),
      );
      if (found === undefined) shapes.push({ base: model, ...range, members: 1 });
      else found.members++;
    }
    // They share the slots of one program; each has room for one more version than it has models, so that any can be replaced.
    const share = Math.floor(PROGRAM_SLOTS / Math.max(1, shapes.length));
    return this.programFor(
      shapes.map(({ members, ...shape }) => ({
        ...shape,
        slots: Math.max(LEAST_SLOTS, share, members + 1),
      })),
    );
  }

  /** @param shapes none where it only forwards @throws DiagnosticError */
  programFor(shapes: readonly ProgramShape[]): KnownProgram {
    const key = JSON.stringify(shapes.map(({ base, ...rest }) => [identityOf(base), rest]));
    const known = this.#programs.get(key);
    if (known !== undefined) return known;
    const [first] = shapes;
    const alone = { base: forwarder, from: 0, to: forwarder.layers.length, slots: LEAST_SLOTS };
    const made = programOfShapes(
      this.spec.kind,
      (first === undefined ? [alone] : shapes).map(({ base, from, to, slots }) => ({
        base: this.#named(base),
        options: { from, to, modelId: this.parts[0]!.modelId, ...this.#options },
        slots,
      })),
    );
    const program: KnownProgram = {
      base: first?.base ?? forwarder,
      program: rememberingWeights(made, this.#named),
      ...(shapes.length > 1 && { shapes }),
    };
    this.#programs.set(key, program);
    return program;
  }

  #fits(base: Model, range: LayerRange, model: Model): boolean {
    if (base === model) return true;
    const known = this.programFor([{ base, ...range, slots: PROGRAM_SLOTS }]);
    return misfit(() => slotsFor(known, model, range)) === undefined;
  }

  override async push(known: KnownProgram): Promise<Done> {
    const done = await super.push(known);
    if (!known.program.joins) this.#before = [];
    return done;
  }

  /** The version of a model for requests that name none. */
  currentOf(modelId: number): number | undefined {
    return currentOn(this.observed, modelId);
  }

  /** What the entry of a version says on this device. */
  heldAs({ range, threshold }: TaskPart, { model }: ModelVersion): Omit<HeldVersion, 'version' | 'slot'> {
    if (range === undefined) throw new Error(`${this.spec.name} only forwards`);
    return { ...range, layerCount: model.layers.length, threshold };
  }

  /** @param but models that are steered no more */
  forwarding(but: readonly number[] = []): Entity[] {
    const steering = this.parts.flatMap(({ modelId, steering }) =>
      but.includes(modelId) ? [] : steering.map((s) => ({ ...s, modelId })),
    );
    return forwardingEntities({ ...this.spec, steering });
  }

  note(step: DeployStep, outcome: StepReport['outcome'], detail: string): void {
    this.steps.push({ step, outcome, detail });
  }

  /** @param after entries at the end; default those that are there @param pushed a program that the device is to get */
  report(after: readonly Entity[] = this.session.entities, pushed?: DeviceProgram): DeviceReport {
    const { name, kind, address, deviceId } = this.spec;
    const { cookie } = this.session;
    const { observed } = this;
    const models = this.computed.map(({ modelId, range }) => {
      const current = this.currentOf(modelId);
      return { id: modelId, layers: range, ...(current !== undefined && { current }) };
    });
    const only = this.parts.length === 1 ? models[0] : undefined;
    return {
      name,
      kind,
      address,
      deviceId,
      ...(only !== undefined && { layers: only.layers }),
      program: typeof cookie === 'bigint' ? cookie.toString(16).padStart(16, '0') : cookie,
      versions: this.parts.flatMap(({ modelId }) =>
        [...heldVersions(this.session.entities, modelId)]
          .filter(([key]) => key !== CURRENT)
          .map(([version, { slot }]) => {
            const weights = weightsDigest(weightsIn(observed, slot));
            const budget = budgetIn(this.session.entities, slot);
            return { modelId, version, slot, weights, ...(budget && { budget }) };
          }),
      ),
      ...(only?.current !== undefined && { current: only.current }),
      models,
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
    for (const { preamble } of (pushed ?? this.known?.program)?.p4info.tables ?? []) {
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

/** A number for each model object: what is planned for one is found again. */
const identities = new WeakMap<Model, number>();
let models = 0;
function identityOf(model: Model): number {
  const known = identities.get(model) ?? ++models;
  identities.set(model, known);
  return known;
}

type UpdateType = Init<'Update'>['type'];

const tableOf = (e: Entity | undefined): number => e?.tableEntry?.tableId ?? 0;

/** What an update does: a default action is modified to say something for the first time, or nothing any more. */
function typeOf({ type, entity }: Init<'Update'>, there: ReadonlySet<string>): UpdateType {
  if (!entity?.tableEntry?.isDefaultAction) return type;
  if (entity.tableEntry.action === undefined) return 'DELETE';
  return there.has(keyOf(entity)) ? 'MODIFY' : 'INSERT';
}
