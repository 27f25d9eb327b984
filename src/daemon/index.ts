/** The controller as a service. */
export { apiListenFault } from './api/access.ts';
export { type Daemon, type DaemonOptions, type Part, startDaemon } from './daemon.ts';
export { nameRoutes } from './names/index.ts';
export { admitPlaceable, Reconciler, type ReconcilerOptions } from './network/index.ts';
export { type Admission, Objects } from './objects/index.ts';
export { Registry, type RegistryOptions, registryRoutes } from './registry/index.ts';
export { copyStore, openStore, type Store } from './store/index.ts';
