import type { ModelVersion } from '../../controller/core/desired.ts';
import type { KnownProgram } from '../../controller/core/observed.ts';
import { flowProgramFor } from '../../controller/flow-program.ts';
import { forwarder } from '../../controller/forwarder.ts';
import { programFor, rememberingWeights } from '../../controller/program.ts';
import { DiagnosticError } from '../../diagnostics/index.ts';
import type { FeatureDefinition } from '../../features/index.ts';
import { type ImportResult, importBytes } from '../../import/index.ts';
import { modelDigest } from '../../import/json/digest.ts';
import type { Model } from '../../model/model.ts';
import { withVerdict } from '../../model/verdict.ts';
import { sourceOptionsOf } from '../objects/index.ts';
import type { Blobs } from '../store/index.ts';
import type { Programs } from './goals.ts';
import type { Named } from './network.ts';

/** A version, and what was imported of its file. */
export interface Loaded {
  readonly version: ModelVersion;
  readonly imported: ImportResult;
}

/** Models of versions, each read once. */
export class ModelLibrary {
  readonly #blobs: Blobs;
  readonly #known = new Map<string, Loaded | string>();

  constructor(blobs: Blobs) {
    this.#blobs = blobs;
  }

  /** @returns the version, or why it cannot be had */
  async load(named: Named<'ModelVersion'>, verdict: boolean): Promise<ModelVersion | string> {
    const found = await this.imported(named, verdict);
    return typeof found === 'string' ? found : found.version;
  }

  /** The same with what the importer knows of the file besides. */
  async imported({ spec, name }: Named<'ModelVersion'>, verdict: boolean): Promise<Loaded | string> {
    const key = JSON.stringify([spec, verdict]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const { source } = spec;
    const bytes = source && (await this.#blobs.get(source.digest));
    if (source === undefined || bytes === undefined)
      return `the file of ModelVersion/${name} is not in the store`;
    const options = sourceOptionsOf(spec);
    let found: Loaded | string;
    try {
      const imported = await importBytes(bytes, source.name, options);
      const { model } = imported;
      const version = {
        model: verdict ? withVerdict(model) : model,
        version: spec.version,
        source: { name: source.name, bytes, verdict, options },
      };
      found = { version, imported };
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      found = error.message;
    }
    this.#known.set(key, found);
    return found;
  }
}

/** Programs by what they are made of; those of equal devices are one. */
export class ProgramLibrary implements Programs {
  readonly #known = new Map<string, { readonly kind: string; readonly program: KnownProgram }>();

  of(...[kind, base, options]: Parameters<Programs['of']>): KnownProgram {
    const made = base === undefined ? forwarder : plainly(base.model);
    // What only forwards has nothing of a model.
    const given =
      base === undefined
        ? { from: 0, to: forwarder.layers.length, modelId: 1, port: options.port, mtu: options.mtu }
        : options;
    return this.#once(kind, [modelDigest(made), given], () => ({
      base: made,
      program: rememberingWeights(programFor(kind, made, given), plainly),
    }));
  }

  /**
   * A program that classifies flows.
   * @returns undefined where no device of the kind does
   * @throws DiagnosticError where this definition or model does not fit one
   */
  flows(kind: string, definition: FeatureDefinition, model: Model): KnownProgram | undefined {
    const made = plainly(model);
    return this.#once(kind, ['flows', definition.name, modelDigest(made)], () =>
      flowProgramFor(kind, definition, made),
    );
  }

  #once<P extends KnownProgram | undefined>(kind: string, of: readonly unknown[], make: () => P) {
    const key = JSON.stringify([kind, ...of]);
    const known = this.#known.get(key);
    if (known !== undefined) return known.program;
    const program = make();
    if (program !== undefined) this.#known.set(key, { kind, program });
    return program;
  }

  /** All of a kind: one of them may be what a device of that kind runs. */
  all(kind: string): readonly KnownProgram[] {
    return [...this.#known.values()].flatMap((k) => (k.kind === kind ? [k.program] : []));
  }
}

/** Names take no part in a program. */
const plainly = (model: Model): Model => (model.name === 'model' ? model : { ...model, name: 'model' });
