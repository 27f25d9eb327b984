/** The part of the daemon that keeps devices, workers and services as their objects say. */
export { admitPlaceable } from './admission.ts';
export { Reconciler, type ReconcilerOptions } from './reconciler.ts';
