import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { isAlive } from '../alive.ts';
import { DiagnosticError, refuse } from '../diagnostics/index.ts';
import { writeWhole } from '../files.ts';
import { importJson } from '../import/index.ts';
import { exportJson } from '../import/json/export.ts';
import { expectation, parseJson } from '../import/json/parse.ts';
import type { Model } from '../model/model.ts';
import { deploymentFault } from './faults.ts';

const STATE_FILE = 'state.json';
const LOCK_FILE = 'lock';
const MODELS = 'models';
const PROGRAMS = 'programs';

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const stateSchema = z.strictObject({
  format: z.literal('intransit-deployment-state'),
  version: z.literal(1),
  modelId: z.int(),
  /** Digest of the model by its version, of those that may still be somewhere. */
  versions: z.record(z.string(), digest),
  current: z.int().optional(),
  previous: z.int().optional(),
  /** The model for which the program of each device was compiled. */
  bases: z.record(z.string(), digest),
});

export type DeploymentState = z.infer<typeof stateSchema>;

/** The name takes no part in what a model computes, nor in its digest: two files of one training are one model. */
const canonicalText = (model: Model): string => JSON.stringify(exportJson({ ...model, name: 'model' }));

const digests = new WeakMap<Model, string>();

export function modelDigest(model: Model): string {
  const known = digests.get(model);
  if (known !== undefined) return known;
  const digest = createHash('sha256').update(canonicalText(model)).digest('hex');
  digests.set(model, digest);
  return digest;
}

/**
 * What a controller must remember of a deployment and no device can tell: the numbers of the deployed models, and for
 * which of them the programs were compiled. Compiled programs are kept too, by their cookie.
 */
export class StateFolder {
  readonly path: string;
  readonly #modelFile: string;
  #state: DeploymentState | undefined;
  #locked = false;
  /** By digest: a model is one object, so that what was planned for it is found again. */
  readonly #models = new Map<string, Model>();

  /** @param modelFile what messages about models of this folder name @throws DiagnosticError on a file that is no state */
  constructor(path: string, modelFile: string) {
    this.path = path;
    this.#modelFile = modelFile;
    const file = join(path, STATE_FILE);
    if (!existsSync(file)) return;
    const result = stateSchema.safeParse(parseJson(readFileSync(file, 'utf8'), file));
    if (!result.success)
      throw new DiagnosticError(
        result.error.issues.map((i) => deploymentFault(file, i.path, expectation(i))),
      );
    this.#state = result.data;
  }

  /** Undefined where nothing was deployed from here yet, or the folder is lost. */
  get state(): DeploymentState | undefined {
    return this.#state;
  }

  /** Written whole or not at all. */
  update(change: Partial<DeploymentState> & Pick<DeploymentState, 'modelId'>): void {
    const { bases = {} } = this.#state ?? {};
    const empty = { format: 'intransit-deployment-state', version: 1, versions: {}, bases } as const;
    const old = this.#state?.modelId === change.modelId ? this.#state : empty;
    this.#state = { ...old, ...change };
    this.#write(STATE_FILE, `${JSON.stringify(this.#state, undefined, 2)}\n`);
  }

  /** @returns the model's digest, by which it is found again */
  saveModel(model: Model): string {
    const name = modelDigest(model);
    const file = join(MODELS, `${name}.json`);
    this.#models.set(name, this.#models.get(name) ?? model);
    if (!existsSync(join(this.path, file))) this.#write(file, canonicalText(model));
    return name;
  }

  /** Undefined if it is not there, or is not what its name says. */
  async loadModel(name: string | undefined): Promise<Model | undefined> {
    const file = join(this.path, MODELS, `${name}.json`);
    if (name === undefined || !existsSync(file)) return undefined;
    const known = this.#models.get(name);
    if (known !== undefined) return known;
    const { model } = await importJson(readFileSync(file, 'utf8'), this.#modelFile);
    if (modelDigest(model) !== name) return undefined;
    this.#models.set(name, model);
    return model;
  }

  /** Compiled programs by their cookies. What is not kept is compiled now, several at once. */
  async programs(
    wanted: readonly { readonly cookie: bigint; readonly build: () => Promise<Uint8Array> }[],
  ): Promise<ReadonlyMap<bigint, Uint8Array>> {
    const found = new Map<bigint, Uint8Array>();
    const queue = [...new Map(wanted.map((p) => [p.cookie, p])).values()];
    // A compiler keeps one processor busy.
    const lane = async (): Promise<void> => {
      for (let p = queue.pop(); p !== undefined; p = queue.pop())
        found.set(p.cookie, await this.#program(p.cookie, p.build));
    };
    await Promise.all(Array.from({ length: availableParallelism() }, lane));
    return found;
  }

  async #program(cookie: bigint, build: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const file = join(PROGRAMS, cookie.toString(16).padStart(16, '0'));
    const kept = join(this.path, file);
    if (existsSync(kept)) return readFileSync(kept);
    const bytes = await build();
    this.#write(file, bytes);
    return bytes;
  }

  /** Versions other than these are forgotten, and models that no version and no program refers to go. */
  keepVersions(modelId: number, keep: readonly number[]): void {
    const known = Object.entries(this.#state?.versions ?? {});
    this.update({ modelId, versions: Object.fromEntries(known.filter(([v]) => keep.includes(Number(v)))) });
    const { versions = {}, bases = {} } = this.#state ?? {};
    const used = new Set([...Object.values(versions), ...Object.values(bases)]);
    const folder = join(this.path, MODELS);
    for (const name of existsSync(folder) ? readdirSync(folder) : [])
      if (!used.has(name.replace(/\.json$/, ''))) rmSync(join(folder, name), { force: true });
    for (const name of this.#models.keys()) if (!used.has(name)) this.#models.delete(name);
  }

  /** One deployment at a time; the lock of a process that is gone does not count. @throws DiagnosticError */
  lock(): void {
    mkdirSync(this.path, { recursive: true });
    const file = join(this.path, LOCK_FILE);
    const take = (): boolean => {
      try {
        writeFileSync(file, `${process.pid}`, { flag: 'wx' });
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
        return refuse('file-unwritable', { reason: (error as Error).message }, { file });
      }
    };
    if (!take()) {
      const owner = Number(readFileSync(file, 'utf8'));
      if (Number.isInteger(owner) && owner > 0 && isAlive(owner))
        refuse('deploy-locked', { pid: owner }, { file: this.path });
      rmSync(file, { force: true });
      if (!take()) refuse('deploy-locked', { pid: owner }, { file: this.path });
    }
    this.#locked = true;
  }

  unlock(): void {
    if (this.#locked) rmSync(join(this.path, LOCK_FILE), { force: true });
    this.#locked = false;
  }

  #write(name: string, content: string | Uint8Array): void {
    const file = join(this.path, name);
    try {
      mkdirSync(dirname(file), { recursive: true });
    } catch (error) {
      refuse('file-unwritable', { reason: (error as Error).message }, { file });
    }
    writeWhole(file, content);
  }
}
