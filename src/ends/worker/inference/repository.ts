import { type Dirent, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { errnoOf, messageOf } from '../../../durable/index.ts';
import { readBytes } from '../../../files.ts';
import { InferenceFault, invalid } from './fault.ts';

/** A model file of one version, still unread or as it came. */
export interface VersionFile {
  readonly version: number;
  readonly name: string;
  readonly read: () => Uint8Array;
}

const NAME = /^[A-Za-z0-9][\w.-]{0,99}$/;
const VERSION = /^[1-9]\d{0,4}$/;
const EXTENSIONS = ['.onnx', '.tflite', '.json'];

/** A folder of models as other servers lay it out: `NAME/VERSION/model.onnx` (or `.tflite`, `.json`). */
export class Repository {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Names, with their versions. */
  models(): readonly { readonly name: string; readonly versions: readonly number[] }[] {
    return foldersIn(this.#folder, NAME).map((name) => ({
      name,
      versions: foldersIn(join(this.#folder, name), VERSION).map(Number),
    }));
  }

  /** @throws InferenceFault where the folder has no such model, or a version no file or several */
  files(name: string): readonly VersionFile[] {
    if (!NAME.test(name)) return invalid(`"${name}" is no name of a model`);
    const versions = foldersIn(join(this.#folder, name), VERSION);
    if (versions.length === 0)
      throw new InferenceFault('not found', `the repository has no model "${name}" (${name}/VERSION/FILE)`);
    return versions.map((version) => {
      const folder = join(this.#folder, name, version);
      const files = entriesOf(folder).filter((e) => e.isFile() && EXTENSIONS.includes(extname(e.name)));
      const [file] = files;
      if (file === undefined || files.length > 1)
        return invalid(
          `${name}/${version} holds ${files.length} model files, not one (${EXTENSIONS.join(', ')})`,
        );
      const path = join(folder, file.name);
      // Clients and messages know the model by the name of its folder.
      return {
        version: versionOf(version),
        name: `${name}${extname(file.name)}`,
        read: () => readBytes(path, 'model'),
      };
    });
  }
}

const entriesOf = (folder: string): readonly Dirent[] => {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    // A folder may be taken away while others are looked at.
    if (errnoOf(error) === 'ENOENT') return [];
    throw new InferenceFault('unavailable', `the repository cannot be read: ${messageOf(error)}`);
  }
};

const foldersIn = (folder: string, pattern: RegExp): readonly string[] =>
  entriesOf(folder)
    .filter((e) => e.isDirectory() && pattern.test(e.name))
    .map((e) => e.name)
    .sort();

function versionOf(text: string): number {
  const version = Number(text);
  return VERSION.test(text) && version <= 0xffff ? version : invalid(`version ${text} is none of 1 to 65535`);
}

/** Files that came in the call itself, under `file:VERSION/NAME`. @throws InferenceFault */
export function filesOf(parameters: ReadonlyMap<string, Uint8Array>, model: string): readonly VersionFile[] {
  return [...parameters].map(([key, bytes]) => {
    const [, version, name] = /^file:(\d+)\/([\w.-]{1,100})$/.exec(key) ?? [];
    if (version === undefined || name === undefined || !EXTENSIONS.includes(extname(name)))
      return invalid(
        `parameter "${key}" is none of file:VERSION/NAME, with a name that ends in ${EXTENSIONS.join(', ')}`,
      );
    return { version: versionOf(version), name: `${model}${extname(name)}`, read: () => bytes };
  });
}
