import type { Model } from '../model/model.ts';
import type { ModelVersion } from './core/desired.ts';
import type { KnownProgram } from './core/observed.ts';
import type { Deployment } from './deployment.ts';
import type { DeviceTask } from './device-task.ts';
import type { DeploymentState, StateFolder } from './state.ts';

type Shapes = NonNullable<KnownProgram['shapes']>;

/** Stands in a state that is of several models: none has this id. */
const EVERY_MODEL = 0;

/** What is remembered of a deployment: of the whole, and of each of its models. Of a file of one model that is the same. */
export class DeploymentMemory {
  /** Of the whole: programs, and the lock. */
  readonly whole: StateFolder;
  readonly #ofModels: ReadonlyMap<number, StateFolder>;
  readonly #isOfMany: boolean;

  constructor({ spec, models }: Deployment, whole: StateFolder) {
    this.whole = whole;
    this.#isOfMany = spec.models !== undefined;
    this.#ofModels = new Map(
      models.map((m) => [m.spec.id, this.#isOfMany ? whole.ofModel(m.spec.id, m.spec.file) : whole]),
    );
  }

  /** Of the versions of a model. */
  of(modelId: number): StateFolder {
    return this.#ofModels.get(modelId)!;
  }

  /** Models of the deployment, also where a device only forwards, and those that were deployed from here before. */
  get ours(): number[] {
    const { modelId = EVERY_MODEL, former = [] } = this.whole.state ?? {};
    return [...new Set([...this.#ofModels.keys(), ...former, modelId])].filter((id) => id !== EVERY_MODEL);
  }

  /** Whether these are all models of the deployment. */
  areAll(modelIds: readonly number[]): boolean {
    return [...this.#ofModels.keys()].every((id) => modelIds.includes(id));
  }

  /** For which the program of a device was made; undefined where that is not known, or not all of it. */
  async shapesOf(task: DeviceTask): Promise<Shapes | undefined> {
    const saved = this.whole.state?.bases[task.name];
    const range = task.computed[0]?.range;
    if (saved === undefined || range === undefined) return undefined;
    const list = typeof saved === 'string' ? [{ digest: saved, ...range, slots: 0 }] : saved;
    const shapes: FoundShapes = await Promise.all(
      list.map(async ({ digest, ...rest }) => ({ ...rest, base: await this.whole.loadModel(digest) })),
    );
    return isWhole(shapes) ? shapes : undefined;
  }

  /** Before a version is anywhere: a run that is broken off is finished, or taken back, by the next. */
  begin(modelId: number, { model, version, source }: ModelVersion, hasWorkers: boolean): void {
    const state = this.of(modelId);
    const digest = state.saveModel(model);
    if (source !== undefined && hasWorkers) state.saveSource(digest, source);
    state.update({ modelId, versions: { ...state.state?.versions, [version]: digest } });
  }

  /** Remembers for which models the programs were made that run; what is known of other devices stays. */
  saveBases(computing: readonly DeviceTask[]): void {
    const saved: DeploymentState['bases'] = { ...this.whole.state?.bases };
    for (const { name, known } of computing)
      if (known !== undefined)
        saved[name] =
          known.shapes?.map(({ base, ...shape }) => ({ ...shape, digest: this.whole.saveModel(base) })) ??
          this.whole.saveModel(known.base);
    if (this.#isOfMany) this.whole.update({ modelId: EVERY_MODEL, bases: saved, former: this.ours });
    else this.whole.update({ modelId: this.#first, bases: saved });
  }

  /** A version took over. @param old the one that was current; undefined where there was none */
  flipped(modelId: number, version: number, old: number | undefined): void {
    const state = this.of(modelId);
    const previous = old === version ? state.state?.previous : old;
    state.update({ modelId, current: version, ...(previous !== undefined && { previous }) });
  }

  /** A state that was lost is made again from what the devices confirmed. */
  restore(modelId: number, { version, model }: ModelVersion): void {
    const state = this.of(modelId);
    const versions = { ...state.state?.versions, [version]: state.saveModel(model) };
    state.update({ modelId, current: version, versions });
  }

  /** Forgets versions of models but those that stay, and models that went. */
  keepVersions(stay: ReadonlyMap<number, readonly number[]>): void {
    for (const [modelId, versions] of stay) {
      const state = this.of(modelId);
      const { previous } = state.state ?? {};
      state.keepVersions(modelId, previous === undefined ? versions : [...versions, previous]);
    }
    if (this.#isOfMany) this.whole.keepVersions(EVERY_MODEL, [], [...this.#ofModels.keys()]);
  }

  /** Nothing of these models is anywhere any more. */
  forget(modelIds: readonly number[]): void {
    for (const id of modelIds) this.of(id).forget();
    if (this.areAll(modelIds)) this.whole.forget();
  }

  get #first(): number {
    return [...this.#ofModels.keys()][0]!;
  }
}

type FoundShapes = readonly (Omit<Shapes[number], 'base'> & { readonly base: Model | undefined })[];

const isWhole = (shapes: FoundShapes): shapes is Shapes => shapes.every(({ base }) => base !== undefined);
