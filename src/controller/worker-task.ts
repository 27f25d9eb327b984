import { type Diagnostic, DiagnosticError, diagnostic } from '../diagnostics/index.ts';
import type { HeldDocument } from '../doors/worker-protocol.ts';
import { canonicalText, modelDigest } from '../import/json/digest.ts';
import type { TlsOptions } from '../p4runtime/index.ts';
import type { ModelVersion } from './core/desired.ts';
import { type Effect, goneFromWorker } from './core/effects.ts';
import { modelOn, type ObservedWorker } from './core/observed.ts';
import type { Done, Endpoint } from './core/run.ts';
import type { DeployStep, StepReport, WorkerReport } from './report.ts';
import { type ModelSource, WorkerClient, type WorkerDoor } from './worker-client.ts';

/** A worker through its control door: what it holds, and the effects of steps. */
export class WorkerEndpoint implements Endpoint {
  readonly name: string;
  readonly #client: WorkerClient;
  #held: HeldDocument | undefined;

  constructor(spec: WorkerDoor, tls: TlsOptions | undefined, timeoutMs?: number) {
    this.name = spec.name;
    this.#client = new WorkerClient(spec, tls, timeoutMs);
  }

  /** @throws DiagnosticError */
  async refresh(): Promise<void> {
    this.#held = await this.#client.held();
  }

  /** What it said last; undefined before it was asked. */
  get held(): HeldDocument | undefined {
    return this.#held;
  }

  get observed(): ObservedWorker {
    const models = (this.#held?.models ?? []).map(({ modelId, current, versions }) => {
      const digests = new Map(versions.map((v) => [v.version, v.digest]));
      return [modelId, { current: current ?? undefined, versions: digests }] as const;
    });
    return { on: 'worker', name: this.name, models: new Map(models) };
  }

  /** @throws DiagnosticError */
  async perform(effect: Effect): Promise<Done> {
    switch (effect.do) {
      case 'load':
        return await this.#load(effect.modelId, effect.version);
      case 'point':
        return await this.#pointTo(effect.modelId, effect.version);
      case 'withdraw': {
        const gone: number[] = [];
        for (const modelId of this.observed.models.keys())
          for (const version of goneFromWorker(effect.gone, modelId, this.observed)) {
            this.#held = await this.#client.unload(modelId, version);
            gone.push(version);
          }
        if (gone.length === 0) return { outcome: 'unchanged', detail: 'nothing to remove' };
        return { outcome: 'done', detail: `version ${gone.join(', ')}` };
      }
      case 'push':
      case 'know':
      case 'forward':
      case 'classify':
        throw new Error(`a worker has no "${effect.do}"`);
    }
  }

  /** Takes the version on beside those that are there, and compares what it computes. */
  async #load(modelId: number, v: ModelVersion): Promise<Done> {
    const digest = modelDigest(v.model);
    const held = () => modelOn(this.observed, modelId).versions.get(v.version);
    if (held() === digest) return { outcome: 'unchanged', detail: `version ${v.version}` };
    this.#held = await this.#client.load(modelId, v.version, sourceOf(v));
    const kept = held();
    if (kept !== digest) {
      const what = `digest ${kept?.slice(0, 12) ?? 'none'} instead of ${digest.slice(0, 12)}`;
      throw new DiagnosticError([
        diagnostic('device-kept-other', { device: this.name, step: 'weights', what }),
      ]);
    }
    return { outcome: 'done', detail: `version ${v.version}, digest ${digest.slice(0, 12)}` };
  }

  /** Requests that name no version are computed by this one from now on, or by none. */
  async #pointTo(modelId: number, version: number | undefined): Promise<Done> {
    const unchanged = modelOn(this.observed, modelId).current === version;
    // A worker that was just started hears of the first flip that it need not wait for more.
    this.#held = await this.#client.makeCurrent(modelId, version);
    return { outcome: unchanged ? 'unchanged' : 'done', detail: `version ${version ?? 'none'}` };
  }

  fault(_step: DeployStep, error: unknown): readonly Diagnostic[] {
    if (error instanceof DiagnosticError) return error.diagnostics;
    throw error;
  }
}

/** A worker of a deployment, and what was done to it. */
export class WorkerTask extends WorkerEndpoint {
  readonly spec: WorkerDoor;
  readonly steps: StepReport[] = [];
  /** Of the deployment. */
  readonly #modelIds: readonly number[];

  constructor(
    spec: WorkerDoor,
    tls: TlsOptions | undefined,
    modelIds: readonly number[],
    timeoutMs?: number,
  ) {
    super(spec, tls, timeoutMs);
    this.spec = spec;
    this.#modelIds = modelIds;
  }

  /** Reads what it holds, anew each time. @throws DiagnosticError */
  async open(): Promise<void> {
    this.steps.length = 0;
    await this.refresh();
  }

  /** The version of a model for requests that name none. */
  currentOf(modelId: number): number | undefined {
    return modelOn(this.observed, modelId).current;
  }

  note(step: DeployStep, outcome: StepReport['outcome'], detail: string): void {
    this.steps.push({ step, outcome, detail });
  }

  report(): WorkerReport {
    const { name, address } = this.spec;
    const models = this.#modelIds.map((id) => {
      const current = this.currentOf(id);
      return { id, ...(current !== undefined && { current }) };
    });
    const current = models.length === 1 ? models[0]!.current : undefined;
    const engines = (of: readonly (string | null)[]) => [...new Set(of.filter((e) => e !== null))];
    const own = this.held?.models.filter((m) => this.#modelIds.includes(m.modelId)) ?? [];
    const versions = own.flatMap(({ modelId, versions }) => versions.map((v) => ({ ...v, modelId })));
    return {
      name,
      address,
      versions: versions.map(({ modelId, version, digest, engines: by }) => ({
        ...{ modelId, version, digest },
        engines: engines(by),
      })),
      ...(current !== undefined && { current }),
      models,
      steps: [...this.steps],
    };
  }
}

/** The file that the model came from, with its graph for ONNX Runtime; else its numbers alone. */
const sourceOf = ({ model, source }: ModelVersion): ModelSource =>
  source ?? { name: 'model.json', bytes: Buffer.from(canonicalText(model)), verdict: false, options: {} };
