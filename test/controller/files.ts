/** Models and deployment files of tests. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { DeploymentInput } from '../../src/controller/index.ts';
import { importModel } from '../../src/import/index.ts';
import { exportJson } from '../../src/import/json/export.ts';
import { importJson } from '../../src/import/json/index.ts';
import type { Model } from '../../src/model/model.ts';
import { random } from '../support/random.ts';

export { smallModel } from './small-model.ts';

export const example = (name: string): string => resolve(import.meta.dirname, '../../examples', name);

export const exampleModel = async (name = 'digits-mlp.onnx'): Promise<Model> =>
  (await importModel(example(name))).model;

/**
 * Another training of the same shape, as far as a program is concerned: some weights are a little smaller, so that every
 * sum still fits the lanes that the first one needed.
 */
export function retrained(model: Model, seed: number): Model {
  const r = random(seed);
  return {
    ...model,
    layers: model.layers.map((layer) => {
      if (layer.kind !== 'dense' && layer.kind !== 'conv2d') return layer;
      const weights = layer.weights.map((w) =>
        r.chance(0.3) ? w - Math.sign(w) * Math.min(Math.abs(w), r.int(0, 40)) : w,
      );
      return { ...layer, weights };
    }),
  };
}

/** A model file in a folder. */
export function writeModel(folder: string, name: string, model: Model): string {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(exportJson(model)));
  return file;
}

export function writeDeployment(
  folder: string,
  deployment: Omit<DeploymentInput, 'format' | 'version'>,
  name = 'deployment.json',
): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name);
  writeFileSync(
    file,
    JSON.stringify({ format: 'intransit-deployment', version: 1, drainMs: 50, ...deployment }),
  );
  return file;
}

/** The model with a verdict behind it. */
export function withVerdict(model: Model): Model {
  const json = exportJson(model);
  return importJson(
    JSON.stringify({ ...json, layers: [...json.layers, { kind: 'argmax', name: 'verdict' }] }),
    'v.json',
  ).model;
}
