/** The part of the daemon that keeps devices, workers and services as their objects say. */
export { Reconciler, type ReconcilerOptions } from './reconciler.ts';
