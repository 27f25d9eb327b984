import type { z } from 'zod';
import { deviceSpec, endpointStatus } from './device.ts';
import { flowPolicySpec, flowPolicyStatus } from './flow-policy.ts';
import { jobSpec, jobStatus } from './job.ts';
import type { Kind } from './kind-names.ts';
import { linkSpec, plainStatus } from './link.ts';
import { modelSpec, modelVersionSpec } from './model.ts';
import { placementSpec, placementStatus } from './placement.ts';
import { rolloutSpec, rolloutStatus } from './rollout.ts';
import { modelsOf, serviceSpec, serviceStatus } from './service.ts';
import { workerSpec } from './worker.ts';

/** A mention of another object. */
export interface Reference {
  /** Within the manifest. */
  readonly path: readonly PropertyKey[];
  /** It is of one of these kinds. */
  readonly kinds: readonly Kind[];
  readonly name: string;
}

interface KindDefinition<S extends z.ZodType, T extends z.ZodType> {
  readonly spec: S;
  readonly status: T;
  readonly references: (spec: z.output<S>) => readonly Reference[];
}

const define = <S extends z.ZodType, T extends z.ZodType>(
  definition: KindDefinition<S, T>,
): KindDefinition<S, T> => definition;

const ref = (
  kinds: readonly Kind[],
  name: string | undefined,
  ...path: PropertyKey[]
): readonly Reference[] => (name === undefined ? [] : [{ kinds, name, path: ['spec', ...path] }]);
const refs = (kinds: readonly Kind[], names: readonly string[] | undefined, field: string) =>
  (names ?? []).flatMap((name, i) => ref(kinds, name, field, i));

const NODES: readonly Kind[] = ['Device', 'Worker'];

/** Everything that differs from kind to kind. A new kind is an entry here, with its files of fields. */
export const kinds = {
  Device: define({
    spec: deviceSpec,
    status: endpointStatus,
    references: () => [],
  }),
  Worker: define({
    spec: workerSpec,
    status: endpointStatus,
    references: () => [],
  }),
  Link: define({
    spec: linkSpec,
    status: plainStatus,
    references: (s) => [...ref(NODES, s.from.node, 'from', 'node'), ...ref(NODES, s.to.node, 'to', 'node')],
  }),
  Model: define({
    spec: modelSpec,
    status: plainStatus,
    references: () => [],
  }),
  ModelVersion: define({
    spec: modelVersionSpec,
    status: plainStatus,
    references: (s) => ref(['Model'], s.model, 'model'),
  }),
  Service: define({
    spec: serviceSpec,
    status: serviceStatus,
    references: (s) => [
      ...(s.model === undefined ? refs(['Model'], modelsOf(s), 'models') : ref(['Model'], s.model, 'model')),
      ...ref(['Device'], s.ingress, 'ingress'),
      ...ref(NODES, s.egress, 'egress'),
      ...refs(NODES, s.nodes, 'nodes'),
      ...s.policy.layers.flatMap((rule, i) =>
        (rule.nodes ?? []).flatMap((name, j) => ref(NODES, name, 'policy', 'layers', i, 'nodes', j)),
      ),
      ...ref(['Service'], s.fallback, 'fallback'),
    ],
  }),
  FlowPolicy: define({
    spec: flowPolicySpec,
    status: flowPolicyStatus,
    references: (s) => [...ref(['Model'], s.model, 'model'), ...refs(['Device'], s.devices, 'devices')],
  }),
  Rollout: define({
    spec: rolloutSpec,
    status: rolloutStatus,
    references: (s) => [...ref(['Service'], s.service, 'service'), ...refs(['Rollout'], s.after, 'after')],
  }),
  Job: define({
    spec: jobSpec,
    status: jobStatus,
    references: (s) => [...refs(['Service'], s.services, 'services'), ...ref(['Worker'], s.worker, 'worker')],
  }),
  Placement: define({
    spec: placementSpec,
    status: placementStatus,
    references: () => [],
  }),
} satisfies Record<Kind, unknown>;

/** What a user wants of an object, with the defaults filled in. */
export type SpecOf<K extends Kind> = z.output<(typeof kinds)[K]['spec']>;
/** What a controller has found of an object. */
export type StatusOf<K extends Kind> = z.output<(typeof kinds)[K]['status']>;
