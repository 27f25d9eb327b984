import type { Kind } from '../manifests/kind-names.ts';

/** What a table shows of an object; the daemon may be of another release, so nothing is taken for granted. */
export interface ShownObject {
  readonly kind: string;
  readonly metadata: { readonly name: string } & Readonly<Record<string, unknown>>;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

interface Column {
  readonly title: string;
  readonly isWide?: true;
  readonly of: (object: ShownObject) => unknown;
}

const spec = (title: string, ...path: string[]): Column => ({ title, of: (o) => dig(o.spec, path) });
const status = (title: string, ...path: string[]): Column => ({ title, of: (o) => dig(o.status, path) });
const wide = (column: Column): Column => ({ ...column, isWide: true });

function dig(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const key of path) at = typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined;
  return at;
}

const end = (side: string): Column => ({
  title: side.toUpperCase(),
  of: (o) => {
    const [node, port] = [dig(o.spec, [side, 'node']), dig(o.spec, [side, 'port'])];
    return port === undefined ? node : `${node}:${port}`;
  },
});

const held: Column = {
  title: 'MODELS',
  of: ({ status: s }) => {
    const models = dig(s, ['models']);
    if (!Array.isArray(models)) return undefined;
    return models.map((m) => `${dig(m, ['modelId'])}@${dig(m, ['current']) ?? 'none'}`).join(',');
  },
};

const byKind: Readonly<Record<Kind, readonly Column[]>> = {
  Device: [
    spec('TARGET', 'target'),
    spec('ADDRESS', 'address'),
    status('STATE', 'state'),
    held,
    wide(spec('DEVICE-ID', 'deviceId')),
    wide(spec('ZONE', 'zone')),
    wide(status('COMPUTED/S', 'load', 'computedPerSecond')),
    wide(status('PASSED/S', 'load', 'passedPerSecond')),
    wide(status('SHED/S', 'load', 'shedPerSecond')),
    wide(status('REFUSED/S', 'load', 'refusedPerSecond')),
    wide(status('ELECTION', 'electionId')),
    wide(status('LAST-SEEN', 'lastSeen')),
  ],
  Worker: [
    spec('CONTROL', 'control'),
    status('STATE', 'state'),
    held,
    wide(spec('ADDRESS', 'address')),
    wide(status('COMPUTED/S', 'load', 'computedPerSecond')),
    wide(status('REFUSED/S', 'load', 'refusedPerSecond')),
    wide(status('BUSY', 'load', 'utilisation')),
    wide(status('QUEUE', 'load', 'queue')),
    wide(spec('ZONE', 'zone')),
    wide(status('LAST-SEEN', 'lastSeen')),
  ],
  Link: [
    end('from'),
    end('to'),
    spec('LATENCY-US', 'latencyUs'),
    wide(spec('MBPS', 'bandwidthMbps')),
    wide(spec('MTU', 'mtu')),
  ],
  Model: [spec('ID', 'id'), spec('VERDICT', 'verdict')],
  ModelVersion: [
    spec('MODEL', 'model'),
    spec('VERSION', 'version'),
    spec('FILE', 'source', 'name'),
    wide(spec('DIGEST', 'source', 'digest')),
  ],
  Service: [
    { title: 'MODELS', of: (o) => dig(o.spec, ['model']) ?? dig(o.spec, ['models']) },
    status('VERSION', 'version'),
    spec('OBJECTIVE-US', 'objective', 'latencyUs'),
    status('P99-US', 'latency', 'p99Us'),
    wide(status('MEASURED-BY', 'latency', 'by')),
    wide(status('ANSWERED/S', 'rates', 'answeredPerSecond')),
    wide(status('FAILED/S', 'rates', 'failedPerSecond')),
    wide(status('NETWORK/S', 'rates', 'networkPerSecond')),
    wide({
      title: 'SHARES',
      of: (o) => {
        const shares = dig(o.status, ['shares']);
        if (!Array.isArray(shares)) return undefined;
        return shares.map((s) => {
          const layers = dig(s, ['layers']);
          return `${dig(s, ['node'])}${layers === undefined ? '' : `[${layers}]`} ${dig(s, ['percent'])} %`;
        });
      },
    }),
    wide(spec('INGRESS', 'ingress')),
    wide(spec('PRIORITY', 'class', 'priority')),
  ],
  FlowPolicy: [
    spec('MODEL', 'model'),
    status('VERSION', 'version'),
    spec('FEATURES', 'features'),
    {
      title: 'DEVICES',
      of: (o) => {
        const devices = dig(o.status, ['devices']);
        if (!Array.isArray(devices)) return dig(o.spec, ['devices']);
        return devices.map((d) => dig(d, ['name']));
      },
    },
    wide(status('CLASSIFIED', 'outcomes', 'classified')),
    wide(status('FLOWS', 'outcomes', 'begun')),
  ],
  Rollout: [
    spec('SERVICE', 'service'),
    spec('VERSION', 'version'),
    status('PHASE', 'phase'),
    status('PERCENT', 'percent'),
    wide(status('PREVIOUS', 'previous')),
  ],
  Job: [
    spec('TYPE', 'type'),
    spec('SERVICES', 'services'),
    { title: 'WORKER', of: (o) => dig(o.status, ['worker']) ?? dig(o.spec, ['worker']) },
    wide(spec('ADDRESS', 'address')),
  ],
  Placement: [
    spec('SERVICE', 'service'),
    spec('MODEL', 'model'),
    spec('VERSION', 'version'),
    {
      title: 'SEGMENTS',
      of: (o) => {
        const segments = dig(o.spec, ['segments']);
        if (!Array.isArray(segments)) return undefined;
        return segments.map((s) => `${dig(s, ['node'])}[${dig(s, ['layers'])}]`).join(' ');
      },
    },
    wide({
      title: 'COMPUTED/S',
      of: (o) => {
        const segments = dig(o.status, ['segments']);
        return Array.isArray(segments) ? segments.map((s) => dig(s, ['computedPerSecond'])) : undefined;
      },
    }),
  ],
};

/** A condition of an object, as the API shows it. */
export interface ShownCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
}

/** None where the object has no status yet. */
export const conditionsOf = (object: ShownObject): readonly ShownCondition[] => {
  const conditions = dig(object.status, ['conditions']);
  return Array.isArray(conditions) ? conditions : [];
};

const ready: Column = {
  title: 'READY',
  of: (o) => conditionsOf(o).find((c) => c.type === 'Ready')?.status,
};
const reason: Column = {
  title: 'REASON',
  isWide: true,
  of: (o) => conditionsOf(o).find((c) => c.type === 'Ready')?.reason,
};
const age = (now: number): Column => ({
  title: 'AGE',
  of: (o) => {
    const made = Date.parse(String(o.metadata.creationTimestamp));
    return Number.isNaN(made) ? undefined : duration((now - made) / 1000);
  },
});

/** `3d`, `5h`, `12m`, `40s`. */
export function duration(seconds: number): string {
  const units = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'm'],
  ] as const;
  const [size, unit] = units.find(([s]) => seconds >= s) ?? [1, 's'];
  return `${Math.max(0, Math.floor(seconds / size))}${unit}`;
}

const shown = (value: unknown): string => {
  if (value === undefined || value === null || value === '') return '-';
  return Array.isArray(value) ? value.join(',') : String(value);
};

/** Rows of a table of objects of one kind, the titles first. */
export function rowsOf(
  kind: Kind,
  objects: readonly ShownObject[],
  isWide: boolean,
  now = Date.now(),
): string[][] {
  const columns = [
    { title: 'NAME', of: (o: ShownObject) => o.metadata.name },
    ...byKind[kind],
    ready,
    age(now),
    reason,
  ].filter((c: Column) => isWide || c.isWide !== true);
  return [columns.map((c) => c.title), ...objects.map((o) => columns.map((c) => shown(c.of(o))))];
}
