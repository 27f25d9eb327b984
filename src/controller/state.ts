import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { DiagnosticError, refuse } from '../diagnostics/index.ts';
import { importOptionsSchema } from '../doors/worker-protocol.ts';
import { ensureFolder, type Lock, lockFile, messageOf } from '../durable/index.ts';
import { readBytes, readText, writeWhole } from '../files.ts';
import { importOptionsOf } from '../import/given-options.ts';
import { importJson } from '../import/index.ts';
import { canonicalText, modelDigest } from '../import/json/digest.ts';
import { expectation, parseJson } from '../import/json/parse.ts';
import type { Model } from '../model/model.ts';
import { deploymentFault } from './faults.ts';
import type { ModelSource } from './worker-client.ts';

const STATE_FILE = 'state.json';
const LOCK_FILE = 'lock';
const MODELS = 'models';
const PROGRAMS = 'programs';
/** Begins the file of a compiled program; its digest follows, then its bytes. */
const PROGRAM_FORMAT = 'intransit-program/1';
/** Nobody else reads what is kept, or holds the lock. */
const [FOLDER_MODE, FILE_MODE] = [0o700, 0o600];

const digest = z.string().regex(/^[0-9a-f]{64}$/);
/** The models for whose shapes a program was compiled. */
const baseSchema = z.union([
  digest,
  z.array(z.strictObject({ digest, from: z.int(), to: z.int(), slots: z.int() })).min(1),
]);
const stateSchema = z.strictObject({
  format: z.literal('intransit-deployment-state'),
  version: z.literal(1),
  modelId: z.int(),
  /** Digest of the model by its version, of those that may still be somewhere. */
  versions: z.record(z.string(), digest),
  current: z.int().optional(),
  previous: z.int().optional(),
  /** Ids of models that were deployed from here before, and may still be somewhere. */
  former: z.array(z.int()).optional(),
  /** The model for which the program of each device was compiled, or those of its shapes. */
  bases: z.record(z.string(), baseSchema),
  /** SHA-256 of all the rest. */
  checksum: digest.optional(),
});

/** Ends the name of the file of a model's source. */
const SOURCE = '.source.json';
const sourceSchema = z.strictObject({
  name: z.string(),
  bytes: z.base64(),
  verdict: z.boolean(),
  options: importOptionsSchema,
});

type SavedBase = z.infer<typeof baseSchema>;
/** What is remembered of a deployment between runs. */
export type DeploymentState = Omit<z.infer<typeof stateSchema>, 'checksum'>;

/**
 * What a controller must remember of a deployment and no device can tell: the numbers of the deployed models, and for
 * which of them the programs were compiled. Compiled programs are kept too, by their cookie.
 */
export class StateFolder {
  readonly path: string;
  readonly #modelFile: string;
  #state: DeploymentState | undefined;
  #lock: Lock | undefined;
  /** By digest: a model is one object, so that what was planned for it is found again. */
  readonly #models = new Map<string, Model>();

  /** @param modelFile what messages about models of this folder name @throws DiagnosticError on a file that is no state */
  constructor(path: string, modelFile: string) {
    this.path = path;
    this.#modelFile = modelFile;
    this.#read();
  }

  /** @throws DiagnosticError on a file that is no state, or not as it was written */
  #read(): void {
    const file = join(this.path, STATE_FILE);
    if (!existsSync(file)) return;
    const result = stateSchema.safeParse(parseJson(readText(file), file));
    if (!result.success)
      throw new DiagnosticError(
        result.error.issues.map((i) => deploymentFault(file, i.path, expectation(i))),
      );
    const { checksum, ...state } = result.data;
    if (checksum !== undefined && checksum !== checksumOf(state)) refuse('state-damaged', {}, { file });
    this.#state = state;
  }

  /** Undefined where nothing was deployed from here yet, or the folder is lost. */
  get state(): DeploymentState | undefined {
    return this.#state;
  }

  /** Written whole or not at all. */
  update(change: Partial<DeploymentState> & Pick<DeploymentState, 'modelId'>): void {
    const { bases = {} } = this.#state ?? {};
    const empty = { format: 'intransit-deployment-state', version: 1, versions: {}, bases } as const;
    const old =
      this.#state?.modelId === change.modelId ? this.#state : { ...empty, ...formerOf(this.#state) };
    this.#state = { ...old, ...change };
    const kept = { ...this.#state, checksum: checksumOf(this.#state) };
    this.#write(STATE_FILE, `${JSON.stringify(kept, undefined, 2)}\n`);
  }

  /** @returns the model's digest, by which it is found again */
  saveModel(model: Model): string {
    const name = modelDigest(model);
    const file = join(MODELS, `${name}.json`);
    this.#models.set(name, this.#models.get(name) ?? model);
    const [kept, text] = [join(this.path, file), canonicalText(model)];
    if (!existsSync(kept) || readText(kept) !== text) this.#write(file, text);
    return name;
  }

  /** The file that the model came from, for workers: its graph makes them faster than its numbers alone. */
  saveSource(digest: string, { bytes, ...source }: ModelSource): void {
    const base64 = Buffer.from(bytes).toString('base64');
    this.#write(join(MODELS, `${digest}${SOURCE}`), JSON.stringify({ ...source, bytes: base64 }));
  }

  /** Undefined if it is not there, or damaged: the model itself is enough. */
  loadSource(digest: string | undefined): ModelSource | undefined {
    const file = join(this.path, MODELS, `${digest}${SOURCE}`);
    if (digest === undefined || !existsSync(file)) return undefined;
    const result = sourceSchema.safeParse(jsonOf(readText(file)));
    if (!result.success) return undefined;
    const { bytes, options, ...rest } = result.data;
    return { ...rest, bytes: Buffer.from(bytes, 'base64'), options: importOptionsOf(options) };
  }

  /** Undefined if it is not there, or is not what its name says. */
  async loadModel(name: string | undefined): Promise<Model | undefined> {
    const file = join(this.path, MODELS, `${name}.json`);
    if (name === undefined || !existsSync(file)) return undefined;
    const known = this.#models.get(name);
    if (known !== undefined) return known;
    try {
      const { model } = await importJson(readText(file), this.#modelFile);
      if (modelDigest(model) !== name) return undefined;
      this.#models.set(name, model);
      return model;
    } catch (error) {
      if (error instanceof DiagnosticError) return undefined;
      throw error;
    }
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
    const name = cookie.toString(16).padStart(16, '0');
    const file = join(this.path, PROGRAMS, name);
    const kept = existsSync(file) ? unsealed(name, readBytes(file)) : undefined;
    if (kept !== undefined) return kept;
    const bytes = await build();
    this.#write(join(PROGRAMS, name), sealed(name, bytes));
    return bytes;
  }

  /**
   * Versions other than these are forgotten, and models that no version and no program refers to go.
   * @param former ids of models that are somewhere still
   */
  keepVersions(modelId: number, keep: readonly number[], former: readonly number[] = []): void {
    const known = Object.entries(this.#state?.versions ?? {});
    this.update({
      modelId,
      versions: Object.fromEntries(known.filter(([v]) => keep.includes(Number(v)))),
      former: [...former],
    });
    const { versions = {}, bases = {} } = this.#state ?? {};
    const used = new Set([...Object.values(versions), ...Object.values(bases).flatMap(digestsOf)]);
    const folder = join(this.path, MODELS);
    for (const name of existsSync(folder) ? readdirSync(folder) : [])
      if (!used.has(name.replace(/(\.source)?\.json$/, ''))) rmSync(join(folder, name), { force: true });
    for (const name of this.#models.keys()) if (!used.has(name)) this.#models.delete(name);
  }

  /** That of one of several models: its versions; programs and the lock are those of the whole. */
  ofModel(modelId: number, modelFile: string): StateFolder {
    return new StateFolder(join(this.path, `model-${modelId}`), modelFile);
  }

  /** Nothing of it is anywhere any more; compiled programs are kept. */
  forget(): void {
    this.#state = undefined;
    this.#models.clear();
    for (const name of [STATE_FILE, MODELS]) rmSync(join(this.path, name), { recursive: true, force: true });
  }

  /** One deployment at a time; the lock ends with its process. What others have written until now is read. @throws DiagnosticError */
  lock(): void {
    const file = join(this.path, LOCK_FILE);
    try {
      ensureFolder(this.path, FOLDER_MODE);
      this.#lock = lockFile(file);
    } catch (error) {
      refuse('file-unwritable', { reason: messageOf(error) }, { file });
    }
    if (this.#lock === undefined) refuse('deploy-locked', { pid: ownerOf(file) }, { file: this.path });
    this.#read();
  }

  unlock(): void {
    this.#lock?.release();
    this.#lock = undefined;
  }

  #write(name: string, content: string | Uint8Array): void {
    const file = join(this.path, name);
    try {
      ensureFolder(dirname(file), FOLDER_MODE);
      // Of an earlier version. The folder itself may hold other things: it is closed only where the state is its top.
      if (name === STATE_FILE && existsSync(file)) chmodSync(this.path, FOLDER_MODE);
    } catch (error) {
      refuse('file-unwritable', { reason: messageOf(error) }, { file });
    }
    writeWhole(file, content, FILE_MODE);
  }
}

const digestsOf = (base: SavedBase): readonly string[] =>
  typeof base === 'string' ? [base] : base.map((shape) => shape.digest);

/** Of a state that is of another model from now on. */
const formerOf = (state: DeploymentState | undefined): Pick<DeploymentState, 'former'> =>
  state === undefined ? {} : { former: [...(state.former ?? []), state.modelId] };

const sha256 = (...parts: readonly (string | Uint8Array)[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** Whatever the order of the fields. */
function checksumOf(state: DeploymentState): string {
  const ordered = (value: unknown): unknown =>
    typeof value === 'object' && value !== null
      ? Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, item]) => [key, ordered(item)])
      : value;
  return sha256(JSON.stringify(ordered(state)));
}

/** A compiled program with the digest by which it is known again, and for which source it was made. */
const sealed = (name: string, bytes: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`${PROGRAM_FORMAT}\n${sha256(name, bytes)}\n`), bytes]);

/** Undefined for one that was cut off or altered, or is that of another source. */
function unsealed(name: string, file: Buffer): Uint8Array | undefined {
  const at = PROGRAM_FORMAT.length + 1 + 64 + 1;
  const bytes = file.subarray(at);
  return file.subarray(0, at).toString('latin1') === `${PROGRAM_FORMAT}\n${sha256(name, bytes)}\n`
    ? bytes
    : undefined;
}

/** Undefined for what is no JSON. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** For a message; the file may be gone by now. */
function ownerOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim() || 'unknown';
  } catch {
    return 'unknown';
  }
}
