/** Manifests: what the controller is told, and what it tells of itself. One definition by zod; schemas and docs follow from it. */
export { checkTogether, type IndexOf, referrers, type Universe, universeOf } from './check.ts';
export { type Condition, type ConditionInput, conditionSchema, withCondition } from './conditions.ts';
export { type EndpointState, endpointStates } from './device.ts';
export { type Fault, fault, faultSchema, type RefusalReason, Refused } from './fault.ts';
export { type JobType, jobIdOf, jobTypes } from './job.ts';
export { appliedKinds, isKindName, type Kind, kindNamed, kindNames, namesOf } from './kind-names.ts';
export { kinds, type Reference, type SpecOf, type StatusOf } from './kinds.ts';
export {
  isKind,
  keyOf,
  type Manifest,
  manifestSchema,
  manifestsSchemaText,
  referencesOf,
  type StoredObject,
} from './manifest.ts';
export { API_VERSION, type Metadata, type StoredMetadata } from './metadata.ts';
export { type RolloutPhase, rolloutPhases } from './rollout.ts';
export { modelsOf, type ServiceSpec } from './service.ts';
export { validate } from './validate.ts';
