import type { KnownProgram } from '../../controller/core/observed.ts';
import { forwardingEntities } from '../../controller/forwarding.ts';
import { DiagnosticError } from '../../diagnostics/index.ts';
import { type FeatureDefinition, galleryNames, readFeatures } from '../../features/index.ts';
import { actionUpdates, type NamedAction, rateOf } from '../../flow/actions.ts';
import { modelOfFeatures } from '../../flow/model.ts';
import { modelDigest } from '../../import/json/digest.ts';
import { classCount } from '../../model/classes.ts';
import type { Model } from '../../model/model.ts';
import type { SpecOf } from '../manifests/index.ts';
import type { FlowGoal } from './goals.ts';
import type { ModelLibrary, ProgramLibrary } from './models.ts';
import { type Named, type Network, newestVersion, versionOf } from './network.ts';

/** Why a policy cannot be: what is wrong, and where in its spec. */
export interface FlowProblem {
  readonly reason: string;
  readonly remedy?: string;
  readonly path: readonly PropertyKey[];
  /** Whether another model, definition or action is needed; else it may become possible as it is. */
  readonly isForGood: boolean;
}

/** A device that a policy is for. */
export interface FlowDevice {
  readonly name: string;
  /** Why it does not classify: it is somebody else's, or it cannot. */
  readonly problem: FlowProblem | undefined;
}

/** What a policy comes to. */
export interface FlowPlan {
  readonly policy: Named<'FlowPolicy'>;
  readonly problem: FlowProblem | undefined;
  readonly version: number | undefined;
  /** Of the classes, where they have any. */
  readonly names: readonly string[] | undefined;
  readonly devices: readonly FlowDevice[];
  /** By device, for those that are to classify. */
  readonly goals: ReadonlyMap<string, FlowGoal>;
}

/** What policies want of devices: each device classifies by one policy, or computes for services. */
export class FlowPolicies {
  readonly #library: ModelLibrary;
  readonly #programs: ProgramLibrary;

  constructor(library: ModelLibrary, programs: ProgramLibrary) {
    this.#library = library;
    this.#programs = programs;
  }

  async plan(network: Network): Promise<readonly FlowPlan[]> {
    const age = ({ object: { metadata } }: Named<'FlowPolicy'>) => metadata.creationTimestamp;
    const policies = [...network.flowPolicies.values()].sort((a, b) =>
      age(a) < age(b) ? -1 : age(a) > age(b) ? 1 : a.name < b.name ? -1 : 1,
    );
    const computing = computingFor(network);
    const taken = new Map<string, string>();
    const plans: FlowPlan[] = [];
    for (const policy of policies) {
      const plan = await this.#one(network, policy, (device) => {
        const service = computing.get(device);
        if (service !== undefined)
          return clash(
            `it computes for Service/${service}`,
            'take the device out of the service (spec.nodes)',
          );
        const other = taken.get(device);
        if (other === undefined) return undefined;
        return clash(`it classifies by FlowPolicy/${other}`, 'name it in one of the two');
      });
      for (const device of plan.goals.keys()) taken.set(device, policy.name);
      plans.push(plan);
    }
    return plans;
  }

  async #one(
    network: Network,
    policy: Named<'FlowPolicy'>,
    clashOn: (device: string) => FlowProblem | undefined,
  ): Promise<FlowPlan> {
    const { spec } = policy;
    const names = devicesOf(network, spec);
    const found = spec.suspended ? undefined : await this.#model(network, spec);
    const nothing = (problem: FlowProblem | undefined): FlowPlan => ({
      ...{ policy, problem, version: undefined, names: undefined, goals: new Map() },
      devices: names.map((name) => ({ name, problem })),
    });
    if (found === undefined || 'reason' in found) return nothing(found);
    const { definition, model, version, classes } = found;
    const actions = actionsOf(spec.actions, classes, classCount(model));
    if ('reason' in actions) return nothing(actions);
    const wanted = actions.flatMap((a) =>
      actionUpdates(a, policy.name).flatMap(({ entity }) => entity ?? []),
    );
    const key = JSON.stringify([policy.name, modelDigest(model), spec.features, spec.actions, classes]);
    const goals = new Map<string, FlowGoal>();
    const devices = names.map((name): FlowDevice => {
      const device = network.devices.get(name)!;
      const known = clashOn(name) ?? this.#onDevice(device, definition, model);
      if ('reason' in known) return { name, problem: known };
      const { ports } = device.spec.forwarding;
      const crossings = forwardingEntities({ zones: [], ports, routes: [], steering: [] });
      goals.set(name, { key, known, entities: [...crossings, ...wanted] });
      return { name, problem: undefined };
    });
    return { policy, problem: undefined, version, names: classes, devices, goals };
  }

  async #model(network: Network, spec: SpecOf<'FlowPolicy'>): Promise<Found | FlowProblem> {
    const version = spec.version ?? newestVersion(network, spec.model);
    if (version === undefined)
      return problem(
        `Model/${spec.model} has no version`,
        ['spec', 'model'],
        false,
        'apply a ModelVersion of it',
      );
    const named = versionOf(network, spec.model, version);
    if (named === undefined)
      return problem(`version ${version} of Model/${spec.model} is not there`, ['spec', 'version'], false);
    const known = galleryNames();
    if (!known.includes(spec.features))
      return problem(
        `there are no features ${spec.features}`,
        ['spec', 'features'],
        true,
        `those of the gallery are ${known.join(', ')}`,
      );
    const definition = readFeatures(spec.features);
    const loaded = await this.#library.imported(named, false);
    if (typeof loaded === 'string') return problem(loaded, ['spec', 'model'], false);
    try {
      const model = modelOfFeatures(loaded.imported, definition);
      const count = classCount(model);
      const said = [network.models.get(spec.model)?.spec.classes, model.classes, definition.classes];
      return { definition, model, version, classes: said.find((names) => names?.length === count) };
    } catch (error) {
      return refusal(error, ['spec', 'model']);
    }
  }

  #onDevice(
    { name, spec }: Named<'Device'>,
    definition: FeatureDefinition,
    model: Model,
  ): KnownProgram | FlowProblem {
    const at = ['spec', 'devices'];
    if (spec.forwarding.routes.length > 0)
      return problem(
        `Device/${name} has routes, and a device that classifies flows sends packets by their port alone`,
        at,
        true,
        'give it spec.forwarding.ports in place of routes, or name another device',
      );
    try {
      const program = this.#programs.flows(spec.target, definition, model);
      if (program !== undefined) return program;
      return problem(`Device/${name} of the target ${spec.target} does not classify flows`, at, true);
    } catch (error) {
      return refusal(error, at);
    }
  }
}

type FlowPolicyAction = SpecOf<'FlowPolicy'>['actions'][number];

interface Found {
  readonly definition: FeatureDefinition;
  readonly model: Model;
  readonly version: number;
  readonly classes: readonly string[] | undefined;
}

const problem = (
  reason: string,
  path: readonly PropertyKey[],
  isForGood: boolean,
  remedy?: string,
): FlowProblem => ({ reason, path, isForGood, ...(remedy !== undefined && { remedy }) });

const clash = (reason: string, remedy: string): FlowProblem =>
  problem(reason, ['spec', 'devices'], false, remedy);

/** @throws what is no refusal */
function refusal(error: unknown, path: readonly PropertyKey[]): FlowProblem {
  if (!(error instanceof DiagnosticError)) throw error;
  const remedy = error.diagnostics[0]?.remedy;
  return problem(error.diagnostics.map((d) => d.message).join('; '), path, true, remedy);
}

/** Devices of services that have a place. */
const computingFor = (network: Network): ReadonlyMap<string, string> =>
  new Map(
    [...network.placements.values()]
      .filter(({ name }) => network.services.get(name)?.spec.suspended === false)
      .flatMap(({ name, spec }) =>
        spec.segments.flatMap((s) => (s.kind === 'Device' ? [[s.node, name] as const] : [])),
      ),
  );

function devicesOf(network: Network, { devices, selector }: SpecOf<'FlowPolicy'>): readonly string[] {
  const chosen = [...network.devices.values()].filter(({ object: { metadata } }) => {
    const labels = Object.entries(selector ?? {});
    return labels.length > 0 && labels.every(([label, value]) => metadata.labels?.[label] === value);
  });
  const named = devices.filter((name) => network.devices.has(name));
  return [...new Set([...named, ...chosen.map((d) => d.name)])];
}

/** What is done by class, the actions of each together. */
function actionsOf(
  actions: readonly FlowPolicyAction[],
  names: readonly string[] | undefined,
  count: number,
): readonly NamedAction[] | FlowProblem {
  const found = new Map<number, NamedAction>();
  for (const [i, a] of actions.entries()) {
    const index = typeof a.class === 'number' ? a.class : classNamed(a.class, names);
    if (index < 0 || index >= count) {
      const there = names === undefined ? '' : `: ${names.join(', ')}`;
      const reason = `class ${a.class} is none of the model, which has 0 to ${count - 1}${there}`;
      return problem(reason, ['spec', 'actions', i, 'class'], true, 'name one of its classes');
    }
    const before = found.get(index) ?? counted(index);
    const isWay = a.action === 'drop' || a.action === 'redirect';
    if (isWay && before.way !== 'none')
      return problem(
        `the packets of class ${a.class} have a way already`,
        ['spec', 'actions', i, 'action'],
        true,
        'drop them, or redirect them once',
      );
    found.set(index, withAction(before, a));
  }
  return [...found.values()];
}

const classNamed = (name: string, names: readonly string[] | undefined): number =>
  names?.includes(name) ? names.indexOf(name) : /^\d+$/.test(name) ? Number(name) : -1;

const counted = (index: number): NamedAction => ({
  ...{ class: index, dscp: undefined, rate: undefined, redirect: undefined },
  ...{ way: 'none', copy: [], tell: false },
});

function withAction(before: NamedAction, a: FlowPolicyAction): NamedAction {
  switch (a.action) {
    case 'count':
      return before;
    case 'drop':
      return { ...before, way: 'drop' };
    case 'mark':
      return { ...before, dscp: a.dscp };
    case 'limit':
      return { ...before, rate: a.rate === undefined ? undefined : rateOf(a.rate, a.burst) };
    case 'mirror':
      return { ...before, copy: [...before.copy, ...(a.port === undefined ? [] : [a.port])] };
    case 'redirect':
      return { ...before, way: 'cross', redirect: a.port };
  }
}
