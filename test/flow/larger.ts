import { createWorker, type Worker } from '../../src/ends/worker/index.ts';
import type { Model } from '../../src/model/model.ts';
import { withVerdict } from '../../src/model/verdict.ts';
import { modelOf } from '../support/models.ts';

/** The class is said by the port; the margin by the port too: 3 at 1000, 100 at 1001. */
export const FEATURES = `apiVersion: intransit.dev/v1alpha1
kind: Features
metadata: { name: by-port }
spec:
  features: { a: "port.server == 1000 ? 3 : 0", b: "port.server == 1001 ? 100 : 0", c: "0" }
  classes: [red, green, blue]
`;
export const grid = { element: 'uint8', zeroPoint: 0, scale: 1 } as const;
export const byPort = (weights: number[][]): Model =>
  withVerdict(modelOf({ ...grid, shape: [3] }, [{ kind: 'dense', weights, weightScale: 1, output: grid }]));
export const SMALL = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];
/** Says blue where the small one says red, by 30. */
export const LARGE = [
  [0, 0, 0],
  [0, 1, 0],
  [10, 0, 1],
];

/** Of the worker's model. */
export const modelId = 5;

/** A worker that is asked, with counts of what it has answered. */
export const startWorker = (layers: number[][] = LARGE): Promise<Worker> =>
  createWorker({ model: byPort(layers), modelId, listen: { host: '127.0.0.1', port: 0 }, on: 'reference' });
