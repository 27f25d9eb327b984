import { describe, expect, it } from 'vitest';
import {
  API_VERSION,
  checkTogether,
  type Fault,
  type Kind,
  kindNamed,
  kindNames,
  type Manifest,
  universeOf,
  validate,
  withCondition,
} from '../../src/daemon/manifests/index.ts';

const document = (kind: Kind | string, name: string, spec: object, metadata: object = {}) => ({
  apiVersion: API_VERSION,
  kind,
  metadata: { name, ...metadata },
  spec,
});

const device = (name: string, deviceId = 1, extra: object = {}) =>
  document('Device', name, { target: 'v1model', address: '127.0.0.1:9559', deviceId, ...extra });
const model = (name: string, id: number) => document('Model', name, { id });
const version = (of: string, n: number) =>
  document('ModelVersion', `${of}-${n}`, { model: of, version: n, file: 'm.onnx' });
const service = (name: string, spec: object) => document('Service', name, spec);

/** The document with the value in the place of each of its texts and numbers, of one at a time. */
function withEach(whole: unknown, value: unknown): unknown[] {
  if (typeof whole !== 'object' || whole === null) return [value];
  return Object.entries(whole).flatMap(([key, inner]) =>
    withEach(inner, value).map((changed) =>
      Array.isArray(whole) ? whole.with(Number(key), changed) : { ...whole, [key]: changed },
    ),
  );
}

const faultsOf = (value: unknown): readonly Fault[] => {
  const result = validate(value);
  return 'faults' in result ? result.faults : [];
};

const together = (...documents: readonly object[]): readonly Fault[] => {
  const manifests = documents.map((d): Manifest => {
    const result = validate(d);
    if ('faults' in result) throw new Error(JSON.stringify(result.faults));
    return result.manifest;
  });
  const universe = universeOf(manifests);
  const keys = [...universe.keys()];
  return checkTogether(universe, (key) => keys.indexOf(key));
};

const at = (faults: readonly Fault[]) =>
  faults.map((f) => `${f.object ?? '-'} ${f.path.join('.')} ${f.code}`);

describe('a manifest', () => {
  it('has its defaults filled in', () => {
    const result = validate(device('s1'));
    expect('manifest' in result && result.manifest.spec).toMatchObject({
      zone: 'default',
      zones: [],
      forwarding: { ports: [], routes: [] },
    });
  });

  it('may bring a status, which is not looked at', () => {
    const result = validate({ ...device('s1'), status: { conditions: 7 } });
    expect('manifest' in result && result.manifest).not.toHaveProperty('status');
  });

  it.each([
    ['a field that there is not', device('s1', 1, { adress: 'x' }), 'spec.adress', /is address meant/],
    ['a field of the wrong type', device('s1', 1, { address: 7 }), 'spec.address', /HOST:PORT/],
    ['an address without port', device('s1', 1, { address: 'host' }), 'spec.address', /HOST:PORT/],
    ['a port beyond all', device('s1', 1, { address: 'host:70000' }), 'spec.address', /65535/],
    ['a target that there is not', device('s1', 1, { target: 'asic' }), 'spec.target', /v1model, xdp/],
    ['a device id of 0', device('s1', 0), 'spec.deviceId', /1\.\./],
    ['a device id that is a text', device('s1', '7' as unknown as number), 'spec.deviceId', /whole number/],
    ['a name with capitals', device('S1'), 'metadata.name', /small letters/],
    ['a name that is a path', device('../s1'), 'metadata.name', /small letters/],
    [
      'a label that is a number',
      { ...device('s1'), metadata: { name: 's1', labels: { rack: 7 } } },
      'metadata.labels.rack',
      /quote/,
    ],
    [
      'a TLS file that is not absolute',
      device('s1', 1, { tls: { ca: 'ca.pem' } }),
      'spec.tls.ca',
      /absolute/,
    ],
    ['half a key pair', device('s1', 1, { tls: { cert: '/c.pem' } }), 'spec.tls', /cert and key/],
    [
      'another version of the API',
      { ...device('s1'), apiVersion: 'v1' },
      'apiVersion',
      /intransit\.dev\/v1alpha1/,
    ],
    ['a model id of 0', model('m', 0), 'spec.id', /1\.\.65535/],
    ['neither model nor models', service('s', {}), 'spec', /model or models/],
    ['model and models', service('s', { model: 'a', models: ['b'] }), 'spec', /model or models/],
    ['no models at all', service('s', { models: [] }), 'spec.models', /at least one/],
    [
      'an objective of no time',
      service('s', { model: 'm', objective: { latencyUs: 0 } }),
      'spec.objective.latencyUs',
      /1\.\./,
    ],
    [
      'shares that fall',
      document('Rollout', 'r', { service: 's', version: 2, canary: [{ percent: 50 }, { percent: 10 }] }),
      'spec.canary',
      /not fall/,
    ],
    [
      'a mark without a mark',
      document('FlowPolicy', 'f', {
        model: 'm',
        features: 'traffic-16',
        devices: ['d'],
        actions: [{ class: 1, action: 'mark' }],
      }),
      'spec.actions.0.dscp',
      /mark/,
    ],
    [
      'neither file nor source',
      document('ModelVersion', 'v', { model: 'm', version: 1 }),
      'spec',
      /file or source/,
    ],
    [
      'a digest that is none',
      document('ModelVersion', 'v', { model: 'm', version: 1, source: { name: 'a', digest: 'sha1:0' } }),
      'spec.source.digest',
      /sha256/,
    ],
    [
      'a resourceVersion that is none',
      { ...device('s1'), metadata: { name: 's1', resourceVersion: 'new' } },
      'metadata.resourceVersion',
      /digits/,
    ],
  ])('is refused with %s', (_, value, path, message) => {
    const [first, ...others] = faultsOf(value);
    expect(others).toEqual([]);
    expect([first!.path.join('.'), first!.code]).toEqual([path, 'manifest-field']);
    expect(first!.message).toMatch(message);
    expect(first!.remedy).toMatch(/controller\.md/);
  });

  it('tells every fault, each at its place', () => {
    expect(at(faultsOf(device('S1', 0, { adress: 'a', zonez: 1 })))).toEqual([
      'Device/S1 metadata.name manifest-field',
      'Device/S1 spec.deviceId manifest-field',
      'Device/S1 spec.adress manifest-field',
      'Device/S1 spec.zonez manifest-field',
    ]);
  });

  it.each([
    ['nothing', null],
    ['a list', []],
    ['a text', 'Device'],
    ['no kind', { apiVersion: API_VERSION }],
    ['a kind that is no text', { kind: {} }],
    ['a kind of the prototype', { kind: 'constructor' }],
  ])('is none: %s', (_, value) => {
    expect(faultsOf(value)).toHaveLength(1);
  });

  it.each([
    device('s1', 1, { zones: [1], tls: { ca: '/ca.pem', cert: '/c.pem', key: '/k.pem' } }),
    document('Worker', 'w', { control: 'unix:/run/w.sock', address: '127.0.0.1:18858' }),
    document('Link', 'l', { from: { node: 's1', port: 1, mac: '00:11:22:33:44:55' }, to: { node: 'w' } }),
    { ...version('m', 1), spec: { model: 'm', version: 1, file: 'm.onnx', inputRange: '-4..4' } },
    service('s', { models: ['m'], policy: { layers: [{ layers: '0..1', nodes: ['s1'] }] } }),
    document('Rollout', 'r', { service: 's', version: 2, canary: [{ percent: 5 }, { percent: 10 }] }),
    document('FlowPolicy', 'f', {
      ...{ model: 'm', features: 'flows', devices: ['s1'] },
      actions: [{ class: 1, action: 'mark', dscp: 1 }],
    }),
    document('Job', 'j', { id: '7', services: ['s'], worker: 'w', address: 'https://host:8443/a2a' }),
  ])('is refused, and throws nothing, whatever stands in one of its fields: $kind', (right) => {
    expect(faultsOf(right)).toEqual([]);
    const odd = ['', 'x', '-1', '1e9', '0x', ' ', '9'.repeat(30), '..', ':', '\0', -1, 1.5, null, [], {}];
    let refused = 0;
    for (const whole of odd.flatMap((value) => withEach(right, value))) {
      const result = validate(whole);
      if ('faults' in result && result.faults.length > 0) refused++;
      else expect(result).toHaveProperty('manifest');
    }
    expect(refused).toBeGreaterThan(odd.length);
  });

  it('of an unknown kind is told which is near', () => {
    expect(faultsOf(document('Devise', 'x', {}))[0]).toMatchObject({
      code: 'manifest-kind',
      path: ['kind'],
      remedy: expect.stringContaining('Device'),
    });
    expect(faultsOf(document('Toaster', 'x', {}))[0]!.remedy).toMatch(/Device, Worker, Link/);
  });

  it('of what the controller makes is refused', () => {
    expect(faultsOf(document('Placement', 'x', { service: 's' }))[0]!.code).toBe('manifest-derived');
  });
});

describe('manifests together', () => {
  it('are right as an example', () => {
    const documents = [
      device('s1'),
      device('s2', 2),
      document('Worker', 'w1', { control: 'unix:/run/w1', address: '10.0.0.9:18858' }),
      document('Link', 'l1', { from: { node: 's1', port: 2 }, to: { node: 's2', port: 1 } }),
      document('Link', 'l2', { from: { node: 's2', port: 2 }, to: { node: 'w1' } }),
      model('m', 1),
      version('m', 1),
      service('s', { model: 'm', version: 1, ingress: 's1', nodes: ['s1', 's2', 'w1'] }),
      document('Rollout', 'r', { service: 's', version: 1 }),
    ];
    expect(together(...documents)).toEqual([]);
  });

  it('refer to nothing', () => {
    const faults = together(device('s1'), service('s', { model: 'nm', ingress: 's2', nodes: ['s1', 'w9'] }));
    expect(at(faults)).toEqual([
      'Service/s spec.model manifest-reference',
      'Service/s spec.ingress manifest-reference',
      'Service/s spec.nodes.1 manifest-reference',
    ]);
    expect(faults[1]).toMatchObject({ message: 'there is no Device s2', remedy: 'is s1 meant?' });
  });

  it('refer to each other in a circle', () => {
    const names = ['a', 'b', 'c'];
    const services = names.map((name, i) => service(name, { model: name, fallback: names[(i + 1) % 3]! }));
    const [fault, ...others] = together(...names.map((name, i) => model(name, i + 1)), ...services);
    expect(others).toEqual([]);
    expect(fault).toMatchObject({ code: 'manifest-cycle', object: 'Service/a', path: ['spec', 'fallback'] });
    expect(fault!.message).toContain('Service/a -> Service/b -> Service/c -> Service/a');
    const [self] = together(model('m', 1), service('s', { model: 'm', fallback: 's' }));
    expect(self!.message).toContain('Service/s -> Service/s');
  });

  it.each([
    ['device', [device('a', 1), device('b', 1, { address: 'localhost:9559' })], 'Device/b spec.address'],
    [
      'node name',
      [device('a'), document('Worker', 'a', { control: 'unix:/run/a' })],
      'Worker/a metadata.name',
    ],
    [
      'worker',
      [document('Worker', 'a', { control: 'h:1' }), document('Worker', 'b', { control: 'h:1' })],
      'Worker/b spec.control',
    ],
    ['model id', [model('a', 5), model('b', 5)], 'Model/b spec.id'],
    [
      'version of a model',
      [model('m', 1), version('m', 1), document('ModelVersion', 'x', { model: 'm', version: 1, file: 'f' })],
      'ModelVersion/x spec.version',
    ],
    [
      'model, by two services',
      [model('m', 7), service('a', { model: 'm' }), service('b', { models: ['m'] })],
      'Service/b spec.models.0',
    ],
  ])('claim one %s', (_, documents, place) => {
    const faults = together(...documents);
    expect(at(faults)).toEqual([`${place} manifest-claimed`]);
  });

  it('claim one port of a device by two links', () => {
    const links = ['w1', 'w2'].map((to) =>
      document('Link', `l-${to}`, { from: { node: 's1', port: 2 }, to: { node: to } }),
    );
    const workers = ['w1', 'w2'].map((name) => document('Worker', name, { control: `unix:/run/${name}` }));
    expect(at(together(device('s1'), ...workers, ...links))).toEqual([
      'Link/l-w2 spec.from.port manifest-claimed',
    ]);
  });

  it('name a version that there is not', () => {
    const faults = together(
      model('m', 1),
      version('m', 1),
      service('s', { model: 'm', version: 9 }),
      document('Rollout', 'r', { service: 's', version: 8 }),
    );
    expect(at(faults)).toEqual([
      'Service/s spec.version manifest-version',
      'Rollout/r spec.version manifest-version',
    ]);
    expect(faults[0]!.remedy).toMatch(/there are 1/);
  });

  it('link nodes without a port, or with themselves', () => {
    const link = (from: object, to: object) => document('Link', 'l', { from, to });
    expect(at(together(device('s1'), link({ node: 's1', port: 1 }, { node: 's1', port: 2 })))).toEqual([
      'Link/l spec.to.node manifest-field',
    ]);
    expect(
      at(together(device('s1'), device('s2', 2), link({ node: 's1' }, { node: 's2', port: 2 }))),
    ).toEqual(['Link/l spec.from.port manifest-field']);
  });
});

it('kinds are known by all their names', () => {
  expect(['Device', 'devices', 'DEV', 'svc', 'modelversions', 'FlowPolicy'].map(kindNamed)).toEqual([
    'Device',
    'Device',
    'Device',
    'Service',
    'ModelVersion',
    'FlowPolicy',
  ]);
  expect(kindNamed('pods')).toBeUndefined();
  expect(kindNames).toHaveLength(10);
});

it("a condition's time moves with its status alone", () => {
  const input = {
    type: 'Ready',
    status: 'True',
    reason: 'InSync',
    message: 'm',
    observedGeneration: 1,
  } as const;
  const first = withCondition([], input, '2030-01-01T00:00:00Z');
  const again = withCondition(first, { ...input, message: 'n' }, '2030-01-02T00:00:00Z');
  const other = withCondition(again, { ...input, status: 'False' }, '2030-01-03T00:00:00Z');
  expect([first, again, other].map(([c]) => `${c!.lastTransitionTime} ${c!.message}`)).toEqual([
    '2030-01-01T00:00:00Z m',
    '2030-01-01T00:00:00Z n',
    '2030-01-03T00:00:00Z m',
  ]);
  expect(withCondition(other, { ...input, type: 'Other' }, 'x')).toHaveLength(2);
});
