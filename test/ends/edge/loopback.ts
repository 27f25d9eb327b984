import { readFileSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import { createSender, type Sender, type SenderOptions } from '../../../src/ends/edge/index.ts';
import {
  createWorker,
  loadWorkerModel,
  type Worker,
  type WorkerOptions,
} from '../../../src/ends/worker/index.ts';
import { interpretRows } from '../../../src/reference/interpreter.ts';
import { type Hop, relay } from './relay.ts';

/** Closes it with the test that runs. */
export function kept<T extends { close(): unknown }>(resource: T): T {
  onTestFinished(async () => {
    await resource.close();
  });
  return resource;
}

export const LOCAL = '127.0.0.1';

export const worker = async (options: WorkerOptions): Promise<Worker> =>
  kept(await createWorker({ listen: { host: LOCAL, port: 0 }, ...options }));

/** A sender with patience for a busy machine. */
export const sender = async (port: number, options: Omit<SenderOptions, 'to'>): Promise<Sender> =>
  kept(await createSender({ timeoutMs: 2000, ...options, to: { host: LOCAL, port } }));

export const between = async ({ port }: Worker, hop: Hop) => kept(await relay(port, hop));

/** An example with its rows and what the unsplit reference makes of them. */
export async function example(name: string, o: { verdict?: boolean; rows?: number } = {}) {
  const loaded = await loadWorkerModel(`examples/${name}.onnx`, o);
  const all = readFileSync(`examples/${name}.x.bin`);
  const width = loaded.model.input.shape.reduce((a, b) => a * b, 1);
  const rows = o.rows === undefined ? all : all.subarray(0, o.rows * width);
  return { ...loaded, rows, count: rows.length / width, expected: interpretRows(loaded.model, rows) };
}
