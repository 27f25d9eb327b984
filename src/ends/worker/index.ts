export { openControl } from './control.ts';
export type { OnnxSource, WorkerEngine } from './finisher.ts';
export { type LoadedModel, loadWorkerModel } from './load.ts';
export type { VersionOptions } from './loaded-version.ts';
export type { WorkerStatistics } from './service.ts';
export { createWorker, type HeldModel, type HeldVersion, type Worker, type WorkerOptions } from './worker.ts';
