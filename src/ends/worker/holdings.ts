import type { Header, PacketOutcome } from '../../wire/index.ts';
import type { LoadedVersion } from './loaded-version.ts';

/** Versions of one model. */
interface HeldModel {
  /** That of the first version that came, or what it was told to be known by. */
  readonly name: string;
  readonly versions: Map<number, LoadedVersion>;
  /** Computes the requests that name no version. */
  current: number | undefined;
}

/** Why nothing held computes a request; `coming` where it will in a moment. */
export interface Missing {
  readonly reason: PacketOutcome;
  readonly coming: boolean;
}

/** The versions of models that a worker holds, and those that it is about to. */
export class Holdings {
  readonly #models = new Map<number, HeldModel>();
  readonly #coming = new Set<string>();
  /** Until a controller has said what there is, everything may come. */
  awaited = false;

  get models(): ReadonlyMap<
    number,
    {
      readonly name: string;
      readonly current: number | undefined;
      readonly versions: ReadonlyMap<number, LoadedVersion>;
    }
  > {
    return this.#models;
  }

  /** @param coming numbers of a version that is being loaded */
  expect(modelId: number, version: number): void {
    this.#coming.add(`${modelId}/${version}`);
  }

  expectNoMore(modelId: number, version: number): void {
    this.#coming.delete(`${modelId}/${version}`);
  }

  find({ modelId, modelVersion }: Header): LoadedVersion | Missing {
    const model = this.#models.get(modelId);
    const number = modelVersion === 0 ? model?.current : modelVersion;
    const held = number === undefined ? undefined : model?.versions.get(number);
    if (held !== undefined) return held;
    const coming = this.awaited || this.#isComing(modelId, modelVersion);
    return { reason: model === undefined ? 'unknown_model' : 'unknown_version', coming };
  }

  #isComing(modelId: number, version: number): boolean {
    if (version !== 0) return this.#coming.has(`${modelId}/${version}`);
    return [...this.#coming].some((key) => key.startsWith(`${modelId}/`));
  }

  version(modelId: number, version: number): LoadedVersion | undefined {
    return this.#models.get(modelId)?.versions.get(version);
  }

  /** @returns the one whose place it takes */
  add(loaded: LoadedVersion): LoadedVersion | undefined {
    const model = this.#models.get(loaded.modelId) ?? {
      name: loaded.name,
      versions: new Map(),
      current: undefined,
    };
    this.#models.set(loaded.modelId, model);
    const before = model.versions.get(loaded.version);
    model.versions.set(loaded.version, loaded);
    return before;
  }

  /** @returns whether the version is held, or none was wanted */
  setCurrent(modelId: number, version: number | undefined): boolean {
    const model = this.#models.get(modelId);
    if (version !== undefined && !model?.versions.has(version)) return false;
    if (model !== undefined) model.current = version;
    this.awaited = false;
    return true;
  }

  /** No request finds it any more. */
  remove(modelId: number, version: number): LoadedVersion | undefined {
    const model = this.#models.get(modelId);
    const removed = model?.versions.get(version);
    model?.versions.delete(version);
    if (model?.current === version) model.current = undefined;
    if (model?.versions.size === 0) this.#models.delete(modelId);
    return removed;
  }

  all(): LoadedVersion[] {
    return [...this.#models.values()].flatMap(({ versions }) => [...versions.values()]);
  }
}
