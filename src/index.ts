/** The public API. What is not exported here may change at any time. */

export type { Need } from './backends/common/need.ts';
export type { ProgramOptions } from './backends/common/program-options.ts';
export { emitV1model } from './backends/v1model/emit.ts';
export { planV1model, type V1modelOptions, type V1modelPlan } from './backends/v1model/plan.ts';
export { emitXdp } from './backends/xdp/emit.ts';
export { xdpNeeds } from './backends/xdp/needs.ts';
export { planXdp, type XdpOptions, type XdpPlan } from './backends/xdp/plan.ts';
export { planReplacement } from './backends/xdp/replacement.ts';
export { encodeWeights } from './backends/xdp/weights.ts';
export {
  DeployError,
  type Deployment,
  type DeployOptions,
  type DeployReport,
  deploy,
  type ModelVersion,
  Rollout,
  type RolloutOptions,
  readDeployment,
  type WatchEvent,
  type Watcher,
  type WatchOptions,
  watch,
} from './controller/index.ts';
export { type Diagnostic, DiagnosticError, formatDiagnostic, type Place } from './diagnostics/index.ts';
export {
  answeredBy,
  createSender,
  createWireSender,
  type LostRow,
  type Peer,
  type ProbeReply,
  type Sender,
  type SenderOptions,
  type SendResult,
  type SendStatistics,
  type WireOptions,
  type WireShape,
  wireShape,
} from './ends/edge/index.ts';
export {
  createWorker,
  type LoadedModel,
  loadWorkerModel,
  type OnnxSource,
  type Worker,
  type WorkerEngine,
  type WorkerOptions,
  type WorkerStatistics,
} from './ends/worker/index.ts';
export { type ImportResult, importModel } from './import/index.ts';
export type { Layer, LayerKind, Model } from './model/model.ts';
export type { ElementType, TensorType } from './model/tensor.ts';
export { withVerdict } from './model/verdict.ts';
export {
  type PlanReport,
  planDiagnostics,
  planModel,
  planSvg,
  readTopology,
  type Topology,
} from './planner/index.ts';
export { interpret, interpretRows } from './reference/interpreter.ts';
export { createEngine, type Engine, engineNames } from './runtime/index.ts';
export { type Slot, type SlotContents, XdpDevice } from './runtime/xdp/device.ts';
export { registerTarget, targetNamed, targetNames } from './targets/registry.ts';
export { defineTarget, planOrRefuse, type Target, type TargetProgram } from './targets/target.ts';
export {
  decodePacket,
  encodePacket,
  type Header,
  type InferencePacket,
  requestPacket,
} from './wire/index.ts';
