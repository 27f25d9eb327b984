import { z } from 'zod';
import { recommendationOf } from '../cats/index.ts';
import {
  isKind,
  type JobType,
  jobIdOf,
  jobTypes,
  type Kind,
  modelsOf,
  type SpecOf,
  type StoredObject,
} from '../manifests/index.ts';

/** What names stand for: services, nodes, and who asks. A node is an agent of the network, so both answer to `agent`. */
export const nameTypes = ['service', ...jobTypes, 'device', 'worker'] as const;
type NameType = (typeof nameTypes)[number];

const addressSchema = z.object({
  node: z
    .string()
    .optional()
    .describe('Device/NAME or Worker/NAME; absent where devices spread jobs over several'),
  address: z.string().describe('A.B.C.D:PORT of packets, or the URL of a door'),
  protocol: z.string().describe('intransit+udp, p4runtime, intransit-control, or the scheme of a URL'),
  score: z.int().optional().describe('CATS level 2, 0 to 10'),
  recommendation: z.enum(['not recommended', 'optional', 'priority']).optional(),
  weight: z.number().default(1).describe('Share of new jobs beside the others, by its load too'),
});
/** An address of what a name stands for, with how good it is. */
export type NamedAddress = z.output<typeof addressSchema>;

/** What a name stands for, as the API answers. */
export const resolutionSchema = z.object({
  name: z.string(),
  type: z.enum(nameTypes),
  object: z.string().describe('Kind/NAME'),
  ready: z.boolean(),
  models: z.array(
    z.object({
      model: z.string(),
      modelId: z.int(),
      version: z.int().optional(),
      service: z.string().optional(),
      canary: z
        .object({ version: z.int(), percent: z.number() })
        .optional()
        .describe('Share of jobs that name another version'),
    }),
  ),
  jobId: z.string().optional().describe('Of packets, a decimal number'),
  services: z.array(z.string()).describe('That it asks, in order'),
  worker: z.string().optional().describe('With which the job is, by its own name or as it was asked for'),
  addresses: z.array(addressSchema).describe('The best first'),
  labels: z.record(z.string(), z.string()),
  description: z.string().optional(),
});
/** What a name stands for at present. */
export type Resolution = z.output<typeof resolutionSchema>;

/** Which names are asked for: those for which all that is given holds. */
export interface NameQuery {
  readonly type?: NameType | undefined;
  readonly labels?: Readonly<Record<string, string>>;
  readonly model?: string | undefined;
}

/** `TYPE/NAME` or `NAME`. */
export function parseName(text: string): { readonly name: string; readonly type?: NameType } | undefined {
  const [, type, name = ''] = /^(?:([a-z]+)\/)?(\S+)$/i.exec(text) ?? [];
  if (name === '' || name.includes('/')) return undefined;
  if (type === undefined) return { name };
  const known = nameTypes.find((t) => t === type.toLowerCase());
  return known && { name, type: known };
}

/** Which part of its weight a worker gets of new jobs, 0 to 1. */
export type ShareOf = (worker: string) => number;

/** All names that there are and fit. */
export function resolveAll(
  objects: readonly StoredObject[],
  query: NameQuery = {},
  shareOf: ShareOf = () => 1,
): readonly Resolution[] {
  const of = <K extends Kind>(kind: K) => objects.filter((o): o is StoredObject<K> => isKind(o, kind));
  const all: All = {
    devices: of('Device'),
    workers: of('Worker'),
    models: of('Model'),
    services: of('Service'),
    rollouts: of('Rollout'),
    shareOf,
  };
  const found = [
    ...all.services.map((o) => serviceNamed(o, all)),
    ...of('Job').map((o) => jobNamed(o, all)),
    ...all.devices.map((o) => nodeNamed(o, all)),
    ...all.workers.map((o) => nodeNamed(o, all)),
  ];
  const { type, labels = {}, model } = query;
  return found.filter(
    (r) =>
      (type === undefined || r.type === type || (type === 'agent' && r.type !== 'service' && isNode(r))) &&
      Object.entries(labels).every(([name, value]) => r.labels[name] === value) &&
      (model === undefined || r.models.some((m) => m.model === model || `${m.modelId}` === model)),
  );
}

const isNode = ({ type }: Resolution): boolean => type === 'device' || type === 'worker';

interface All {
  readonly devices: readonly StoredObject<'Device'>[];
  readonly workers: readonly StoredObject<'Worker'>[];
  readonly models: readonly StoredObject<'Model'>[];
  readonly services: readonly StoredObject<'Service'>[];
  readonly rollouts: readonly StoredObject<'Rollout'>[];
  readonly shareOf: ShareOf;
}

type Node = StoredObject<'Device' | 'Worker'>;

const isTrue = ({ status }: StoredObject, type: string): boolean =>
  status.conditions.some((c) => c.type === type && c.status === 'True');

const keyOf = ({ kind, metadata }: StoredObject): string => `${kind}/${metadata.name}`;

const commonOf = (object: StoredObject) => ({
  name: object.metadata.name,
  object: keyOf(object),
  labels: { ...object.metadata.labels },
});

/** Whether packets can be sent there, as far as is known. */
const canBeHad = ({ status }: Node): boolean =>
  status.state !== 'unreachable' && status.registration?.lostAt === undefined;

/** The score of level 2 as it is told last. */
export function scoreOf({ status }: Node): number | undefined {
  const total = status.metrics?.find((m) => m.level === 2)?.value;
  return typeof total === 'number' ? total : undefined;
}

const scored = (node: Node): Pick<NamedAddress, 'score' | 'recommendation'> => {
  const score = scoreOf(node);
  return score === undefined ? {} : { score, recommendation: recommendationOf(score) };
};

const best = (a: NamedAddress, b: NamedAddress): number =>
  (b.score ?? 5) - (a.score ?? 5) || b.weight - a.weight || (a.node! < b.node! ? -1 : 1);

/** @param instead of the worker's own address */
function workerAddress(
  worker: StoredObject<'Worker'>,
  { shareOf }: All,
  instead?: string,
): readonly NamedAddress[] {
  const address = instead ?? worker.spec.address;
  const weight = worker.spec.weight * shareOf(worker.metadata.name);
  if (address === undefined) return [];
  return [{ node: keyOf(worker), address, protocol: 'intransit+udp', weight, ...scored(worker) }];
}

/** Whether it holds the model that answers for a service, or nobody has looked yet. */
function holdsFor({ spec, status }: StoredObject<'Service'>, { models }: All) {
  const names = status.model === undefined ? modelsOf(spec) : [status.model];
  const ids = models.filter((m) => names.includes(m.metadata.name)).map((m) => m.spec.id);
  return ({ status: { models: held } }: Node): boolean =>
    held === undefined || held.some((m) => ids.includes(m.modelId) && m.versions.length > 0);
}

/** A service, or what answers in its place, which the models of the answer name. @param before services that could not */
function serviceNamed(object: StoredObject<'Service'>, all: All, before: readonly string[] = []): Resolution {
  const own = ownNamed(object, all);
  const { fallback } = object.spec;
  if ((own.addresses.length > 0 && isPlaceable(object)) || fallback === undefined) return own;
  const other = all.services.find(({ metadata: { name } }) => name === fallback && !before.includes(name));
  if (other === undefined) return own;
  const { models, addresses } = serviceNamed(other, all, [...before, object.metadata.name]);
  return addresses.length === 0 ? own : { ...own, models, addresses };
}

const isPlaceable = ({ status }: StoredObject<'Service'>): boolean =>
  !status.conditions.some((c) => c.type === 'Ready' && c.reason === 'Unplaceable');

function ownNamed(object: StoredObject<'Service'>, all: All): Resolution {
  const { spec } = object;
  const holds = holdsFor(object, all);
  const workers = all.workers.filter(
    (w) => (spec.nodes === undefined || spec.nodes.includes(w.metadata.name)) && canBeHad(w) && holds(w),
  );
  const at = (w: (typeof workers)[number]) => workerAddress(w, all, spec.address);
  const addresses = workers.flatMap(at).sort(best);
  return {
    ...commonOf(object),
    type: 'service',
    ready: isTrue(object, 'Ready'),
    models: [...modelsOf(spec)].sort(answering(object)).flatMap((name) => modelNamed(name, all, object)),
    services: [],
    addresses: spec.address === undefined ? addresses : ownOf(spec, addresses),
  };
}

/** Of a service that has an address: devices choose the worker, so nobody can say which one a job is with. */
function ownOf({ address, port }: SpecOf<'Service'>, addresses: readonly NamedAddress[]): NamedAddress[] {
  const [first] = addresses;
  if (first === undefined) return [];
  const { node: _, ...rest } = first;
  const weight = addresses.reduce((sum, a) => sum + a.weight, 0);
  return [{ ...rest, address: `${address}:${port}`, weight }];
}

/** The model that answers at present goes first, the others as they are preferred. */
const answering =
  ({ status }: StoredObject<'Service'>) =>
  (a: string, b: string): number =>
    Number(b === status.model) - Number(a === status.model);

function modelNamed(
  name: string,
  { models, rollouts }: All,
  { metadata, spec, status }: StoredObject<'Service'>,
) {
  const model = models.find((m) => m.metadata.name === name);
  if (model === undefined) return [];
  const isCurrent = status.model === undefined || status.model === name;
  const version = isCurrent ? (status.version ?? spec.version) : undefined;
  const canary = isCurrent ? canaryOf(metadata.name, rollouts) : undefined;
  return [
    {
      model: name,
      modelId: model.spec.id,
      service: metadata.name,
      ...(version !== undefined && { version }),
      ...(canary !== undefined && { canary }),
    },
  ];
}

function canaryOf(service: string, rollouts: readonly StoredObject<'Rollout'>[]) {
  const isShared = ({ phase }: StoredObject<'Rollout'>['status']) =>
    phase === 'canary' || phase === 'paused' || phase === 'installing';
  const rollout = rollouts.find((r) => r.spec.service === service && isShared(r.status) && r.status.percent);
  const { percent } = rollout?.status ?? {};
  return rollout === undefined || percent === undefined
    ? undefined
    : { version: rollout.spec.version, percent };
}

function jobNamed(object: StoredObject<'Job'>, all: All): Resolution {
  const { spec, status, metadata } = object;
  const services = spec.services.flatMap((name) => all.services.filter((s) => s.metadata.name === name));
  const resolved = services.map((s) => serviceNamed(s, all));
  const own = status.worker ?? spec.worker;
  const worker = all.workers.find((w) => w.metadata.name === own);
  // With its worker as long as that can be had, else where the first service is.
  const at =
    worker !== undefined && canBeHad(worker) ? workerAddress(worker, all) : (resolved[0]?.addresses ?? []);
  return {
    ...commonOf(object),
    type: spec.type satisfies JobType,
    ready: resolved.every((r) => r.ready),
    models: resolved.flatMap((r) => r.models),
    jobId: `${jobIdOf(metadata.name, spec.id)}`,
    services: spec.services,
    ...(own !== undefined && { worker: own }),
    addresses: [...ownAddress(spec), ...at],
    ...(spec.description !== undefined && { description: spec.description }),
  };
}

function ownAddress({ address }: SpecOf<'Job'>): readonly NamedAddress[] {
  if (address === undefined) return [];
  return [{ address, protocol: /^([a-z0-9+.-]+):\/\//.exec(address)?.[1] ?? 'udp', weight: 1 }];
}

function nodeNamed(object: Node, all: All): Resolution {
  const { spec, status } = object;
  const packets = isKind(object, 'Worker') ? workerAddress(object, all) : [];
  const door = 'control' in spec ? spec.control : spec.address;
  const protocol = 'control' in spec ? 'intransit-control' : 'p4runtime';
  return {
    ...commonOf(object),
    type: object.kind === 'Device' ? 'device' : 'worker',
    ready: isTrue(object, 'Ready'),
    models: (status.models ?? []).map(({ modelId, current }) => ({
      model: `${modelId}`,
      modelId,
      ...(current !== undefined && { version: current }),
    })),
    services: [],
    addresses: [...packets, { node: keyOf(object), address: door, protocol, weight: 1, ...scored(object) }],
  };
}
