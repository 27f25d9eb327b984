import type { z } from 'zod';
import { deviceSpec, endpointStatus } from './device.ts';
import { flowPolicySpec } from './flow-policy.ts';
import { linkSpec, plainStatus } from './link.ts';
import { modelSpec, modelVersionSpec, modelVersionStatus } from './model.ts';
import { placementSpec } from './placement.ts';
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
  /** In paths of the API. */
  readonly plural: string;
  /** Other words for it on the command line. */
  readonly short: readonly string[];
  readonly summary: string;
  readonly spec: S;
  readonly status: T;
  /** Made by the daemon alone: nobody applies it. */
  readonly isDerived?: true;
  readonly references: (spec: z.output<S>) => readonly Reference[];
}

export type Kind =
  | 'Device'
  | 'Worker'
  | 'Link'
  | 'Model'
  | 'ModelVersion'
  | 'Service'
  | 'FlowPolicy'
  | 'Rollout'
  | 'Placement';

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
    plural: 'devices',
    short: ['device', 'dev'],
    summary: 'A switch or an XDP host, driven over P4Runtime',
    spec: deviceSpec,
    status: endpointStatus,
    references: () => [],
  }),
  Worker: define({
    plural: 'workers',
    short: ['worker', 'wk'],
    summary: 'A host at the end of a path that finishes what devices left',
    spec: workerSpec,
    status: endpointStatus,
    references: () => [],
  }),
  Link: define({
    plural: 'links',
    short: ['link'],
    summary: 'A way between two nodes',
    spec: linkSpec,
    status: plainStatus,
    references: (s) => [...ref(NODES, s.from.node, 'from', 'node'), ...ref(NODES, s.to.node, 'to', 'node')],
  }),
  Model: define({
    plural: 'models',
    short: ['model'],
    summary: 'What all versions of a model have in common',
    spec: modelSpec,
    status: plainStatus,
    references: () => [],
  }),
  ModelVersion: define({
    plural: 'modelversions',
    short: ['modelversion', 'mv'],
    summary: 'Weights of a model',
    spec: modelVersionSpec,
    status: modelVersionStatus,
    references: (s) => ref(['Model'], s.model, 'model'),
  }),
  Service: define({
    plural: 'services',
    short: ['service', 'svc'],
    summary: 'Models that are offered to traffic',
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
    plural: 'flowpolicies',
    short: ['flowpolicy', 'fp'],
    summary: 'Ordinary traffic classified by a model',
    spec: flowPolicySpec,
    status: plainStatus,
    references: (s) => [
      ...ref(['Model'], s.model, 'model'),
      ...refs(['Device'], s.devices, 'devices'),
      ...ref(['Worker'], s.worker, 'worker'),
    ],
  }),
  Rollout: define({
    plural: 'rollouts',
    short: ['rollout', 'ro'],
    summary: 'A change of the current version of a service',
    spec: rolloutSpec,
    status: rolloutStatus,
    references: (s) => [...ref(['Service'], s.service, 'service'), ...refs(['Rollout'], s.after, 'after')],
  }),
  Placement: define({
    plural: 'placements',
    short: ['placement', 'pl'],
    summary: 'Which layers of a service run where; made by the daemon',
    spec: placementSpec,
    status: plainStatus,
    isDerived: true,
    references: () => [],
  }),
} satisfies Record<Kind, unknown>;

export type SpecOf<K extends Kind> = z.output<(typeof kinds)[K]['spec']>;
export type StatusOf<K extends Kind> = z.output<(typeof kinds)[K]['status']>;

export const kindNames = Object.keys(kinds) as readonly Kind[];

/** The kind that is meant by its name, plural or short name, in any case of letters. */
export function kindNamed(word: string): Kind | undefined {
  const asked = word.toLowerCase();
  return kindNames.find((kind) => {
    const { plural, short } = kinds[kind];
    return kind.toLowerCase() === asked || plural === asked || (short as readonly string[]).includes(asked);
  });
}
