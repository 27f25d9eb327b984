import { weightsPlace } from '../backends/common/table-model.ts';
import type { Model } from '../model/model.ts';
import type { Init } from '../p4runtime/index.ts';
import type { ModelVersion } from './core/desired.ts';
import { currentOn, type Entity, type KnownProgram, weightsIn } from './core/observed.ts';
import type { Done } from './core/run.ts';
import type { DeviceSpec } from './deployment-schema.ts';
import { type CompileProgram, DeviceEndpoint } from './device-endpoint.ts';
import type { ClientHolder, SessionOptions } from './device-session.ts';
import { forwarder } from './forwarder.ts';
import { forwardingEntities } from './forwarding.ts';
import type { LayerRange } from './planned-layers.ts';
import { type DeviceProgram, type ProgramOptions, programFor, rememberingWeights } from './program.ts';
import type { DeployStep, DeviceReport, StepReport, TableReport } from './report.ts';
import { CURRENT, type HeldVersion, heldVersions, keyOf, weightsDigest } from './versions.ts';

export interface TaskOptions extends SessionOptions {
  readonly modelId: number;
  readonly port: number;
  readonly mtu: number;
}

/** One device of a deployment: its programs, what it should hold, and what was done to it. */
export class DeviceTask extends DeviceEndpoint {
  readonly spec: DeviceSpec;
  /** Undefined where it only forwards: it holds no version of any model. */
  readonly range: LayerRange | undefined;
  readonly steps: StepReport[] = [];
  readonly modelId: number;
  readonly #options: ProgramOptions;
  readonly #programs = new WeakMap<Model, KnownProgram>();
  /** As the device was when it was first read, or got another program: what the report counts changes from. */
  #before: readonly Entity[] = [];

  constructor(
    spec: DeviceSpec,
    range: LayerRange | undefined,
    holder: ClientHolder,
    compile: CompileProgram,
    options: TaskOptions,
  ) {
    super(spec, holder, compile, options);
    this.spec = spec;
    this.range = range;
    this.modelId = options.modelId;
    const { modelId, port, mtu } = options;
    this.#options = { ...(range ?? { from: 0, to: forwarder.layers.length }), modelId, port, mtu };
  }

  /** Connects and reads, anew each time. @param bases models for which the program that runs may be made */
  async read(bases: readonly Model[]): Promise<void> {
    this.steps.length = 0;
    this.#before = [];
    const models = this.range === undefined ? [forwarder] : bases;
    await this.open(models.map((base) => () => this.programOf(base)));
    this.#before = this.session.entities;
  }

  /** @throws DiagnosticError where the layers do not fit such a device; its messages name the device */
  programOf(base: Model): KnownProgram {
    const made = this.range === undefined ? forwarder : base;
    const known = this.#programs.get(made);
    if (known !== undefined) return known;
    const program = programFor(this.spec.kind, this.#named(made), this.#options);
    const named: KnownProgram = { base: made, program: rememberingWeights(program, this.#named) };
    this.#programs.set(made, named);
    return named;
  }

  override async push(known: KnownProgram): Promise<Done> {
    const done = await super.push(known);
    if (!known.program.joins) this.#before = [];
    return done;
  }

  /** Versions by what packets name, 0 for the current one. */
  versions(): ReadonlyMap<number, HeldVersion> {
    return heldVersions(this.session.entities, this.modelId);
  }

  get current(): number | undefined {
    return currentOn(this.observed, this.modelId);
  }

  /** What the entry of a version says on this device. */
  heldAs({ model }: ModelVersion): Omit<HeldVersion, 'version' | 'slot'> {
    const { range, spec } = this;
    if (range === undefined) throw new Error(`${spec.name} only forwards`);
    return { ...range, layerCount: model.layers.length, threshold: spec.threshold };
  }

  forwarding(): Entity[] {
    return forwardingEntities(this.spec, this.modelId);
  }

  note(step: DeployStep, outcome: StepReport['outcome'], detail: string): void {
    this.steps.push({ step, outcome, detail });
  }

  /** @param after entries at the end; default those that are there @param pushed a program that the device is to get */
  report(after: readonly Entity[] = this.session.entities, pushed?: DeviceProgram): DeviceReport {
    const { name, kind, address, deviceId } = this.spec;
    const { cookie } = this.session;
    const { current, observed } = this;
    return {
      name,
      kind,
      address,
      deviceId,
      ...(this.range !== undefined && { layers: this.range }),
      program: typeof cookie === 'bigint' ? cookie.toString(16).padStart(16, '0') : cookie,
      versions: [...this.versions()]
        .filter(([key]) => key !== CURRENT)
        .map(([version, { slot }]) => ({ version, slot, weights: weightsDigest(weightsIn(observed, slot)) })),
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

type UpdateType = Init<'Update'>['type'];

const tableOf = (e: Entity | undefined): number => e?.tableEntry?.tableId ?? 0;

/** What an update does: a default action is modified to say something for the first time, or nothing any more. */
function typeOf({ type, entity }: Init<'Update'>, there: ReadonlySet<string>): UpdateType {
  if (!entity?.tableEntry?.isDefaultAction) return type;
  if (entity.tableEntry.action === undefined) return 'DELETE';
  return there.has(keyOf(entity)) ? 'MODIFY' : 'INSERT';
}
