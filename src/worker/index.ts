export type { OnnxSource, WorkerEngine } from './finisher.ts';
export { type LoadedModel, loadWorkerModel } from './load.ts';
export type { WorkerStatistics } from './service.ts';
export { createWorker, type Worker, type WorkerOptions } from './worker.ts';
