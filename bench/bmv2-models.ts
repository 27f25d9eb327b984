import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { importModel } from '../src/import/index.ts';
import { importJson } from '../src/import/json/index.ts';
import type { Model } from '../src/model/model.ts';
import { elementCount } from '../src/model/tensor.ts';

export interface BenchModel {
  readonly model: Model;
  /** Rows to send, in the model's input type. */
  readonly rows: Uint8Array;
}

/** Linear congruence: the same weights on every machine. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  };
}

/** A network of the shape that Pegasus' MLP-B has, with any weights: what it costs does not depend on them. */
function pegasusShape(): BenchModel {
  const widths = [10, 32, 16, 3];
  const next = numbers(7);
  const layers = widths.slice(1).map((outs, i) => {
    const weights = Int8Array.from({ length: outs * widths[i]! }, () => next() - 128);
    return {
      kind: 'dense' as const,
      weights: Buffer.from(weights.buffer).toString('base64'),
      weightScale: 0.01,
      bias: Array.from({ length: outs }, () => 0),
      output: { element: 'uint8' as const, scale: 0.5, zeroPoint: 0 },
    };
  });
  const input = { element: 'uint8' as const, scale: 0.1, zeroPoint: 0, shape: [widths[0]!] };
  const json = { format: 'intransit-model', version: 1, name: '10-32-16-3', input, layers };
  const { model } = importJson(JSON.stringify(json), '10-32-16-3.json');
  return { model, rows: Uint8Array.from({ length: 100 * widths[0]! }, next) };
}

async function example(name: string): Promise<BenchModel> {
  const folder = ['../examples', '../../shared/models']
    .map((path) => fileURLToPath(new URL(`${path}/`, import.meta.url)))
    .find((path) => existsSync(`${path}${name}.onnx`));
  if (folder === undefined) throw new Error(`${name}.onnx is not there`);
  const { model } = await importModel(`${folder}${name}.onnx`);
  const rows = await readFile(`${folder}${name}.x.bin`);
  return { model, rows: rows.subarray(0, 100 * elementCount(model.input.shape)) };
}

export const benchModels = async (): Promise<BenchModel[]> => [
  await example('digits-mlp'),
  await example('traffic-mlp'),
  pegasusShape(),
  await example('digits-cnn'),
];
