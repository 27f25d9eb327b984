import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { importModel } from '../../../src/import/index.ts';
import type { Model } from '../../../src/model/model.ts';
import { elementCount } from '../../../src/model/tensor.ts';

export const exampleNames = ['digits-mlp', 'traffic-mlp', 'digits-cnn'] as const;

/** The models come with the project; from a session of it they may still lie beside it. */
function pathOf(file: string): string {
  const candidates = ['../../../examples', '../../../../shared/models'].map((folder) =>
    fileURLToPath(new URL(`${folder}/${file}`, import.meta.url)),
  );
  return candidates.find((path) => existsSync(path)) ?? candidates[0]!;
}

export async function exampleModel(name: (typeof exampleNames)[number]): Promise<Model> {
  const { model } = await importModel(pathOf(`${name}.onnx`));
  return model;
}

export function exampleRows(name: (typeof exampleNames)[number], model: Model, count: number): Uint8Array {
  return Uint8Array.from(
    readFileSync(pathOf(`${name}.x.bin`)).subarray(0, count * elementCount(model.input.shape)),
  );
}
