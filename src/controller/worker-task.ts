import { type Diagnostic, DiagnosticError, diagnostic } from '../diagnostics/index.ts';
import type { HeldDocument } from '../doors/worker-protocol.ts';
import { canonicalText, modelDigest } from '../import/json/digest.ts';
import type { TlsOptions } from '../p4runtime/index.ts';
import type { WorkerSpec } from './deployment-schema.ts';
import type { Done } from './device-steps.ts';
import type { ModelVersion } from './device-task.ts';
import type { DeployStep, StepReport, WorkerReport } from './report.ts';
import { type ModelSource, WorkerClient } from './worker-client.ts';

/** A worker of a deployment: what it holds, what it should hold, and what was done to it. */
export class WorkerTask {
  readonly spec: WorkerSpec;
  readonly modelId: number;
  readonly steps: StepReport[] = [];
  readonly #client: WorkerClient;
  #held: HeldDocument | undefined;

  constructor(spec: WorkerSpec, tls: TlsOptions | undefined, modelId: number, timeoutMs?: number) {
    this.spec = spec;
    this.modelId = modelId;
    this.#client = new WorkerClient(spec, tls, timeoutMs);
  }

  /** Reads what it holds, anew each time. @throws DiagnosticError */
  async open(): Promise<void> {
    this.steps.length = 0;
    await this.refresh();
  }

  /** @throws DiagnosticError */
  async refresh(): Promise<void> {
    this.#held = await this.#client.held();
  }

  get #model(): HeldDocument['models'][number] | undefined {
    return this.#held?.models.find((m) => m.modelId === this.modelId);
  }

  /** Digest of each version of this deployment's model that it holds, by number. */
  versions(): ReadonlyMap<number, string> {
    return new Map(this.#model?.versions.map((v) => [v.version, v.digest]));
  }

  get current(): number | undefined {
    return this.#model?.current ?? undefined;
  }

  holds({ model, version }: ModelVersion): boolean {
    return this.versions().get(version) === modelDigest(model);
  }

  /** What keeps the version from being taken on; undefined where nothing does. */
  obstacle(v: ModelVersion): Diagnostic | undefined {
    const held = this.versions().get(v.version);
    if (held === undefined || this.holds(v)) return undefined;
    return diagnostic('version-taken', { device: this.spec.name, version: v.version });
  }

  /** Takes the version on beside those that are there, and compares what it computes. @throws DiagnosticError */
  async install(v: ModelVersion): Promise<Done> {
    const digest = modelDigest(v.model);
    if (this.holds(v)) return { outcome: 'unchanged', detail: `version ${v.version}` };
    this.#held = await this.#client.load(this.modelId, v.version, sourceOf(v));
    const kept = this.versions().get(v.version);
    if (kept !== digest) {
      const what = `digest ${kept?.slice(0, 12) ?? 'none'} instead of ${digest.slice(0, 12)}`;
      throw new DiagnosticError([
        diagnostic('device-kept-other', { device: this.spec.name, step: 'weights', what }),
      ]);
    }
    return { outcome: 'done', detail: `version ${v.version}, digest ${digest.slice(0, 12)}` };
  }

  /** Requests that name no version are computed by this one from now on, or by none. @throws DiagnosticError */
  async pointTo(version: number | undefined): Promise<Done> {
    const unchanged = this.current === version;
    // A worker that was just started hears of the first flip that it need not wait for more.
    this.#held = await this.#client.makeCurrent(this.modelId, version);
    return { outcome: unchanged ? 'unchanged' : 'done', detail: `version ${version ?? 'none'}` };
  }

  /** @returns how many versions went @throws DiagnosticError */
  async remove(doomed: (version: number) => boolean): Promise<Done> {
    const gone = [...this.versions().keys()].filter(doomed);
    for (const version of gone) this.#held = await this.#client.unload(this.modelId, version);
    const detail = gone.length === 0 ? 'nothing to remove' : `version ${gone.join(', ')}`;
    return { outcome: gone.length === 0 ? 'unchanged' : 'done', detail };
  }

  fault(_step: DeployStep, error: unknown): readonly Diagnostic[] {
    if (error instanceof DiagnosticError) return error.diagnostics;
    throw error;
  }

  note(step: DeployStep, outcome: StepReport['outcome'], detail: string): void {
    this.steps.push({ step, outcome, detail });
  }

  report(): WorkerReport {
    const { name, address } = this.spec;
    const { current } = this;
    const engines = (of: readonly (string | null)[]) => [...new Set(of.filter((e) => e !== null))];
    return {
      name,
      address,
      versions: (this.#model?.versions ?? []).map((v) => ({
        version: v.version,
        digest: v.digest,
        engines: engines(v.engines),
      })),
      ...(current !== undefined && { current }),
      steps: [...this.steps],
    };
  }
}

/** The file that the model came from, with its graph for ONNX Runtime; else its numbers alone. */
const sourceOf = ({ model, source }: ModelVersion): ModelSource =>
  source ?? { name: 'model.json', bytes: Buffer.from(canonicalText(model)), verdict: false, options: {} };
