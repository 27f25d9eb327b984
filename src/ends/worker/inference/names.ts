import type { LoadedVersion } from '../loaded-version.ts';
import type { LoadedModel, Worker } from '../worker.ts';
import { InferenceFault } from './fault.ts';

/** A model under the name by which clients ask for it. */
export interface NamedModel extends Omit<LoadedModel, 'name'> {
  readonly name: string;
}

/** Models by name. Where two have one name, the second carries its id behind it. */
export function namedModels(worker: Worker): readonly NamedModel[] {
  const taken = new Set<string>();
  return [...worker.loaded()]
    .sort((a, b) => a.modelId - b.modelId)
    .map((model) => {
      const name = taken.has(model.name) ? `${model.name}-${model.modelId}` : model.name;
      taken.add(name);
      return { ...model, name };
    });
}

/** By its name, or by the model id of packets. @throws InferenceFault `not found` */
export function needModel(worker: Worker, name: string): NamedModel {
  const models = namedModels(worker);
  const found = models.find((m) => m.name === name) ?? models.find((m) => String(m.modelId) === name);
  if (found !== undefined) return found;
  const known = models.map((m) => m.name).join(', ');
  throw new InferenceFault(
    'not found',
    `there is no model "${name}"${known === '' ? '; none is loaded' : ` (there are: ${known})`}`,
  );
}

/** The version that is asked for, or the current one. @throws InferenceFault `not found` */
export function needVersion(model: NamedModel, version: string): LoadedVersion {
  const number = version === '' ? model.current : Number(version);
  const found = number === undefined ? undefined : model.versions.get(number);
  if (found !== undefined) return found;
  const held = [...model.versions.keys()].join(', ');
  throw new InferenceFault(
    'not found',
    version === ''
      ? `model "${model.name}" has no current version: name one (there are: ${held})`
      : `model "${model.name}" has no version ${version} (there are: ${held})`,
  );
}
