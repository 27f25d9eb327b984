/** Models onto devices over P4Runtime; see docs/deploy.md. */
export type { ModelVersion } from './core/desired.ts';
export { type DeployOptions, deploy } from './deploy.ts';
export { type Deployment, parseDeployment, readDeployment } from './deployment.ts';
export { type DeploymentFile, type DeploymentInput, deploymentSchemaText } from './deployment-schema.ts';

export {
  DeployError,
  type DeployReport,
  type DeviceReport,
  type StepReport,
  type TableReport,
  type WorkerReport,
} from './report.ts';
export { Rollout, type RolloutEvent, type RolloutOptions } from './rollout.ts';
export { type WatchEvent, type Watcher, type WatchOptions, watch } from './watch.ts';
