/** The objects of the controller: applied, deleted, and written of by the daemon. */
export { type Admission, type Applied, type ApplyOptions, changedFields, sourceOptionsOf } from './apply.ts';
export { CheckedStore, type DamagedObject } from './checked-store.ts';
export { type DeleteOptions, Objects, type StatusChange } from './objects.ts';
export { type ObjectName, objectOf, sameJson } from './stored.ts';
export { UnusedFiles } from './unused-files.ts';
