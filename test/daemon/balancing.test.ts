/** Jobs of a service that devices spread over workers of its address: shares by weight, and what moves when a worker comes, goes or is busy. */
import { describe, expect, it, test } from 'vitest';
import { balance, cross, drop as dropAction, shards, steer } from '../../src/backends/common/table-model.ts';
import { forwardingEntries } from '../../src/controller/forwarding.ts';
import type { StoredObject } from '../../src/daemon/manifests/index.ts';
import { resolveAll } from '../../src/daemon/names/index.ts';
import type { SpreadService } from '../../src/daemon/network/goals.ts';
import { networkOf } from '../../src/daemon/network/network.ts';
import { membersOfShards } from '../../src/daemon/network/shards.ts';
import { spreadOf } from '../../src/daemon/network/spread.ts';
import { firstHopsOf, type Steered, steeringOf } from '../../src/daemon/network/steering.ts';
import { SHARD_GROUPS, SHARDS } from '../../src/dataplane/abi.ts';
import { toBigInt } from '../../src/p4runtime/values.ts';
import { psaDevice } from './network-support.ts';
import { scenes } from './scene.ts';

const { files, device, worker, network } = scenes();

const membersNamed = (weights: Readonly<Record<string, number>>) =>
  Object.entries(weights).map(([name, weight]) => ({ name, weight }));
const namesOf = (weights: Readonly<Record<string, number>>): string[] => {
  const members = membersNamed(weights);
  return membersOfShards(members).map((i) => members[i]!.name);
};
const shareOf = (names: readonly string[], name: string) => names.filter((n) => n === name).length / SHARDS;

describe('shards', () => {
  it('are shared out by the weights, within four hundredths', () => {
    for (let n = 0; n < 12; n++) {
      const weights = { [`a${n}`]: 1, [`b${n}`]: 3, [`c${n}`]: 2 };
      const names = namesOf(weights);
      for (const [name, weight] of Object.entries(weights))
        expect(Math.abs(shareOf(names, name) - weight / 6), name).toBeLessThan(0.04);
    }
    expect(new Set(namesOf({ a: 1, b: 0 }))).toEqual(new Set(['a']));
    expect(shareOf(namesOf({ a: 0, b: 0 }), 'a')).toBeGreaterThan(0.44);
  });

  it('of one that goes are given away, and taken back by it; all others stay', () => {
    const all = namesOf({ a: 1, b: 2, c: 1 });
    const without = namesOf({ a: 1, c: 1 });
    for (const [shard, name] of all.entries()) if (name !== 'b') expect(without[shard]).toBe(name);
    expect(shareOf(without, 'a')).toBeGreaterThan(0.44);
    // The order in which members are told says nothing.
    expect(namesOf({ c: 1, a: 1, b: 2 })).toEqual(all);
    const less = namesOf({ a: 1, b: 0.5, c: 1 });
    for (const [shard, name] of all.entries()) if (less[shard] !== name) expect(name).toBe('b');
    const more = namesOf({ a: 1, b: 2, c: 1, d: 1 });
    for (const [shard, name] of all.entries()) if (more[shard] !== name) expect(more[shard]).toBe('d');
  });
});

/** s1 - s2, workers a and b at s2, c at s1. */
const objectOf = (kind: string, name: string, spec: object) =>
  ({ kind, metadata: { name, generation: 1 }, spec, status: { conditions: [] } }) as unknown as StoredObject;
const workerAt = (name: string, more: object = {}) => objectOf('Worker', name, { weight: 1, ...more });
const link = (from: object, to: object, latencyUs = 0, mtu = 1500) =>
  objectOf('Link', `${JSON.stringify(from)}-${JSON.stringify(to)}`, {
    ...{ from, to, latencyUs, mtu },
    oneWay: false,
  });
const deviceAt = (name: string) =>
  objectOf('Device', name, { zone: name, forwarding: { ports: [], routes: [] } });
const drawn = (...more: StoredObject[]) =>
  networkOf([
    ...['s1', 's2'].map(deviceAt),
    ...[workerAt('a'), workerAt('b'), workerAt('c')],
    link({ node: 's1', port: 9 }, { node: 's2', port: 9 }),
    link({ node: 's2', port: 1 }, { node: 'a' }),
    link({ node: 's2', port: 2 }, { node: 'b' }),
    link({ node: 's1', port: 3 }, { node: 'c' }),
    ...more,
  ]);
const service = (more: Partial<Steered> = {}): Steered => ({
  modelId: 5,
  packetBytes: [100, 100],
  placement: {
    segments: [{ kind: 'Device', node: 's1', layers: '0..1' }],
  } as unknown as Steered['placement'],
  workers: ['a', 'b', 'c'],
  isOneAddress: true,
  replicas: new Map([[0, membersNamed({ s1: 1 })]]),
  members: membersNamed({ a: 1, b: 2, c: 1 }),
  ...more,
});
/** As far as is asked of it here. */
const spreadService = (modelId: number) =>
  ({ ...service({ modelId }), service: { spec: {} } }) as unknown as SpreadService;
const allSteered = (services: readonly Steered[], down: readonly string[] = [], of = drawn()) => {
  const up = (name: string) => !down.includes(name);
  return steeringOf(of, services, up, firstHopsOf(of, up));
};
const steeredIn = (...args: Parameters<typeof allSteered>) => allSteered(...args).devices;

describe('steering', () => {
  it('spreads jobs where the ways to equal workers part, alike on all devices', () => {
    const found = steeredIn([service()]);
    const names = namesOf({ a: 1, b: 2, c: 1 });
    const portsAt = (name: string, of = found) => {
      const [group, ...others] = of.get(name)!.balancing;
      expect(others).toEqual([]);
      expect(group).toMatchObject({ modelId: 5, group: 255 });
      return group!.goes.map((to) => group!.hops[to]!.port);
    };
    expect(portsAt('s1')).toEqual(names.map((n) => (n === 'c' ? 3 : 9)));
    expect(portsAt('s2')).toEqual(names.map((n) => ({ a: 1, b: 2, c: 9 })[n]));
    // What is not computed yet where s1 is passed by goes there first.
    expect(found.get('s1')!.steering).toEqual(
      [0, 1].map((nextLayer) => ({ modelId: 5, nextLayer, group: 255 })),
    );
    expect(found.get('s2')!.steering).toEqual([
      { modelId: 5, nextLayer: 0, port: 9 },
      { modelId: 5, nextLayer: 1, group: 255 },
    ]);
    // To those that are left one way leads: that needs no shards.
    const left = steeredIn([service()], ['c']);
    expect(left.get('s1')).toEqual({
      steering: [0, 1].map((nextLayer) => ({ modelId: 5, nextLayer, port: 9 })),
      balancing: [],
    });
    expect(portsAt('s2', left)).toEqual(namesOf({ a: 1, b: 2 }).map((n) => (n === 'a' ? 1 : 2)));
  });

  it('spreads jobs over devices that compute the same layers', () => {
    const side = ['d1', 'd2'].map(deviceAt);
    const wires = side.map((d, i) => link({ node: 's1', port: 20 + i }, { node: d.metadata.name, port: 1 }));
    const placement = {
      segments: ['d1', 'd2'].map((node) => ({ kind: 'Device', node, layers: '0..1' })),
    } as unknown as Steered['placement'];
    const replicas = new Map([[0, membersNamed({ d1: 1, d2: 3 })]]);
    const found = steeredIn([service({ placement, replicas, members: [] })], [], drawn(...side, ...wires));
    const { steering, balancing } = found.get('s1')!;
    // Workers that take nothing yet are asked as where only one is: the preferred.
    expect(steering).toEqual([
      { modelId: 5, nextLayer: 0, group: 0 },
      { modelId: 5, nextLayer: 1, port: 9 },
    ]);
    const names = namesOf({ d1: 1, d2: 3 });
    const [group] = balancing;
    expect(group!.goes.map((to) => group!.hops[to]!.port)).toEqual(names.map((n) => (n === 'd1' ? 20 : 21)));
    // And each of them leaves the rest to the workers.
    expect(found.get('d1')!.steering[0]).toEqual({ modelId: 5, nextLayer: 0, port: 1 });
  });

  it('goes to one alone where a device has no room for more groups, on all devices, and says so', () => {
    const services = Array.from({ length: SHARD_GROUPS + 2 }, (_, i) => service({ modelId: i + 1 }));
    const { devices, crowded } = allSteered(services);
    const { steering, balancing } = devices.get('s2')!;
    expect(balancing.map((g) => g.modelId)).toEqual(Array.from({ length: SHARD_GROUPS }, (_, i) => i + 1));
    expect(steering.at(-1)).toEqual({ modelId: SHARD_GROUPS + 2, nextLayer: 1, port: 1 });
    expect(devices.get('s1')!.steering.at(-1)).toEqual({ modelId: SHARD_GROUPS + 2, nextLayer: 1, port: 9 });
    const left = [SHARD_GROUPS + 1, SHARD_GROUPS + 2];
    expect(crowded).toEqual(
      ['s1', 's2'].flatMap((device) =>
        left.map((modelId) => ({ device, groups: SHARD_GROUPS + 2, modelId, layer: undefined, first: 'a' })),
      ),
    );
    expect(spreadOf(spreadService(SHARD_GROUPS + 1), crowded).problem).toBe(
      'a device has room for the shards of 16 groups of equals, s1 would have 18, s2 would have 18: what is left for workers goes to a alone',
    );
    expect(spreadOf(spreadService(1), crowded)).toMatchObject({ isAsked: true, problem: undefined });
  });

  it('does not spread on one device what another has no room for: it would come back', () => {
    // Other services have taken all the room of s1, and none of s2.
    const side = ['d1', 'd2'].map(deviceAt);
    const wires = side.map((d, i) => link({ node: 's1', port: 20 + i }, { node: d.metadata.name, port: 1 }));
    const placement = {
      segments: ['d1', 'd2'].map((node) => ({ kind: 'Device', node, layers: '0..1' })),
    } as unknown as Steered['placement'];
    const replicas = new Map([[0, membersNamed({ d1: 1, d2: 1 })]]);
    const others = Array.from({ length: SHARD_GROUPS }, (_, i) =>
      service({ modelId: 100 + i, placement, replicas, members: [], workers: ['c'] }),
    );
    const own = service({ members: membersNamed({ b: 1, a: 1, c: 1 }) });
    const { devices, crowded } = allSteered([...others, own], [], drawn(...side, ...wires));
    expect(crowded.map((c) => c.device)).toEqual(['s1']);
    const last = ({ modelId, nextLayer }: { modelId: number; nextLayer: number }) =>
      modelId === own.modelId && nextLayer === 1;
    expect(devices.get('s1')!.steering.find(last)).toMatchObject({ port: 9 });
    expect(devices.get('s2')!.steering.find(last)).toMatchObject({ port: 2 });
  });

  it('leaves jobs to the worker that they have chosen, where a service has no address', () => {
    const own = ['a', 'b', 'c'].map((name, i) => workerAt(name, { address: `10.9.9.${i}:1` }));
    const steered = (isOneAddress: boolean, rawInput?: Steered['rawInput']) =>
      steeredIn([service({ isOneAddress, members: [], rawInput })], [], drawn(...own)).get('s1')?.steering;
    expect(steered(false)).toBeUndefined();
    // Which of them a packet is for is not seen here: where one may not have raw input, none has it.
    expect(steered(false, { zones: ['s1', 's2'], workers: undefined })).toBeUndefined();
    expect(steered(false, { zones: ['s1', 's2'], workers: ['a'] })).toEqual([{ modelId: 5, nextLayer: 0 }]);
    // Before any worker has the model, the preferred one is asked.
    expect(steered(true)).toEqual([0, 1].map((nextLayer) => ({ modelId: 5, nextLayer, port: 9 })));
  });

  it('sends packets along no link that is too small for them', () => {
    const wide = link({ node: 's1', port: 8 }, { node: 's2', port: 8 }, 50, 9000);
    const placement = {
      segments: ['s1', 's2'].map((node, i) => ({ kind: 'Device', node, layers: `${i}..${i + 1}` })),
    } as unknown as Steered['placement'];
    const replicas = new Map(['s1', 's2'].map((name, i) => [i, membersNamed({ [name]: 1 })]));
    const wayAt = (device: string, bytes: number) => {
      const own = service({ packetBytes: [bytes, bytes], placement, replicas });
      return steeredIn([own], [], drawn(wide)).get(device)?.steering;
    };
    const [first, second] = [0, 1].map((nextLayer) => ({ modelId: 5, nextLayer }));
    expect(wayAt('s1', 1500)).toEqual([
      { ...first, group: 255 },
      { ...second, port: 9 },
    ]);
    expect(wayAt('s1', 1501)).toEqual([{ ...second, port: 8 }]);
    expect(wayAt('s2', 1501)).toEqual([{ ...first, port: 8 }]);
    expect(wayAt('s1', 9001)).toBeUndefined();
    // Jobs stay with workers that can have all of their packets.
    const narrow = service({
      packetBytes: [100, 1501],
      members: membersNamed({ a: 1, c: 1 }),
      workers: ['b'],
    });
    const jumbo = link({ node: 's1', port: 7 }, { node: 'c' }, 50, 9000);
    expect(steeredIn([narrow], [], drawn(jumbo)).get('s1')?.steering).toEqual([
      { ...first, port: 7 },
      { ...second, port: 7 },
    ]);
  });

  it('drops the raw input where nobody can have it who may, and leaves all else to the workers', () => {
    const within = (rawInput: Steered['rawInput'], down: readonly string[] = []) => {
      const found = steeredIn([service({ rawInput })], down);
      return ['s1', 's2'].map((name) => found.get(name)?.steering);
    };
    const kept = (workers: readonly string[], down: readonly string[] = []) =>
      within({ zones: ['s1', 's2'], workers }, down);
    const [drop, spread] = [
      { modelId: 5, nextLayer: 0 },
      { modelId: 5, nextLayer: 1, group: 255 },
    ];
    // What s1 sheds is dropped there; what has not come to it goes there.
    expect(kept([])).toEqual([
      [drop, spread],
      [{ ...drop, port: 9 }, spread],
    ]);
    expect(kept([], ['s1'])[1]).toEqual([drop, spread]);
    expect(kept(['b'])).toEqual([
      [{ ...drop, port: 9 }, spread],
      [{ ...drop, port: 9 }, spread],
    ]);
    expect(kept(['b'], ['b', 's1'])[1]![0]).toEqual(drop);
    // It is led round devices that may not have it, also where these were to compute it.
    expect(within({ zones: ['s2'], workers: undefined })[1]).toEqual([{ ...spread, nextLayer: 0 }, spread]);
    expect(within({ zones: ['s1'], workers: undefined })[0]).toEqual([{ ...drop, port: 3 }, spread]);
    expect(within({ zones: ['s1'], workers: ['a', 'b'] })[0]).toEqual([drop, spread]);
    const [entry] = forwardingEntries({ zones: [], ports: [], routes: [], steering: [drop] });
    expect(entry).toEqual({ table: steer, keys: [5, 0], action: dropAction, parameters: [] });
  });

  it('becomes an entry for each shard and one that balances', () => {
    const { steering, balancing } = steeredIn([service()]).get('s2')!;
    const entries = forwardingEntries({ zones: [], ports: [], routes: [], steering, balancing });
    const names = namesOf({ a: 1, b: 2, c: 1 });
    expect(entries.filter((e) => e.table === shards)).toEqual(
      names.map((n, shard) => ({
        ...{ table: shards, keys: [5, 255, shard], action: cross },
        parameters: [{ a: 1, b: 2, c: 9 }[n]],
      })),
    );
    expect(entries.filter((e) => e.table === steer).at(-1)).toEqual({
      ...{ table: steer, keys: [5, 1], action: balance, parameters: [255] },
    });
  });
});

test('a device is told of workers of its address: by weight, of one that dies nothing but its shards, and of its return', async () => {
  const [d, a, b] = [await device(), await worker(), await worker()];
  const net = network();
  const at = (name: string, w: { readonly control: string }, weight: number) =>
    ['Worker', name, { control: w.control, weight }] as const;
  await net.apply(
    psaDevice('d', d),
    ...[at('a', a, 1), at('b', b, 3)],
    ['Link', 'd-a', { from: { node: 'd', port: 2 }, to: { node: 'a' } }],
    ['Link', 'd-b', { from: { node: 'd', port: 3 }, to: { node: 'b' } }],
    ['Model', 'small', { id: 7 }],
    await net.version('small', 1, files[0]!),
    [
      'Service',
      's',
      { model: 'small', address: '10.9.9.9', policy: { layers: [{ layers: '0..1', nodes: ['d'] }] } },
    ],
  );
  net.start();
  /** Who gets which share by now: a busy worker gets less, and these share a machine with all else. */
  const shared = async (count: number) =>
    (await net.until('Service', 's', ({ status }) => status.shares?.length === count)).status.shares!;
  const [first, second] = await shared(2);
  expect([first!.node, second!.node]).toEqual(['b', 'a']);
  expect(first!.percent + second!.percent).toBeCloseTo(100, 5);
  const PORTS: Readonly<Record<string, number>> = { a: 2, b: 3, c: 4 };
  /** Ports of shards as they should be by what the service says of its workers. */
  const wanted = async () => {
    const { shares = [] } = await net.status('Service', 's');
    return namesOf(Object.fromEntries(shares.map((s) => [s.node, s.weight]))).map((name) => PORTS[name]);
  };
  const isAsWanted = async () =>
    JSON.stringify(await wanted()) ===
    JSON.stringify([...Array(SHARDS).keys()].map((s) => written().ports.get(s)));

  /** Ports of the shards as they were written, and whether they were there when a request was first sent to them. */
  const written = () => {
    const ports = new Map<number, number>();
    let isBalanced = false;
    let first: number | undefined;
    for (const { type, entity } of d.device.applied) {
      const { tableId, match, action } = entity.tableEntry ?? {};
      const params = action?.action?.params ?? [];
      if (tableId === steer.id) isBalanced = type !== 'DELETE' && action?.action?.actionId === balance.id;
      if (isBalanced) first ??= ports.size;
      if (tableId !== shards.id) continue;
      const shard = Number(toBigInt(match!.find((m) => m.fieldId === 3)?.exact?.value ?? new Uint8Array()));
      if (type === 'DELETE') ports.delete(shard);
      else ports.set(shard, Number(toBigInt(params[0]!.value!)));
    }
    return { ports, isBalanced, first };
  };
  await expect.poll(() => written().isBalanced, { timeout: 30_000 }).toBe(true);
  expect(written().first).toBe(SHARDS);
  await expect.poll(isAsWanted, { timeout: 30_000 }).toBe(true);
  // Whoever asks for the service is told of one address.
  const [found] = resolveAll((await net.objects.list()).objects, { type: 'service' });
  expect(found!.addresses).toEqual([
    expect.objectContaining({ address: '10.9.9.9:18858', protocol: 'intransit+udp' }),
  ]);
  expect(found!.addresses[0]!.node).toBeUndefined();

  // One that is started anew finds it so.
  await net.stop();
  d.writes();
  net.start();
  await net.inSync('d');
  await shared(2);
  expect(d.device.commits).toBe(1);
  await expect.poll(isAsWanted, { timeout: 30_000 }).toBe(true);

  // Of three, one goes; no shard is without a way meanwhile, and no other moves.
  const c = await worker();
  await net.apply(at('c', c, 4), ['Link', 'd-c', { from: { node: 'd', port: 4 }, to: { node: 'c' } }]);
  await shared(3);
  await expect.poll(isAsWanted, { timeout: 30_000 }).toBe(true);
  expect([...written().ports.values()].filter((port) => port === PORTS.c).length).toBeGreaterThan(SHARDS / 4);
  const begun = d.device.applied.length;
  await c.close();
  await shared(2);
  await expect.poll(isAsWanted, { timeout: 30_000 }).toBe(true);
  const types = d.device.applied
    .slice(begun)
    .flatMap((change) => (change.entity.tableEntry?.tableId === shards.id ? [change.type] : []));
  expect(new Set(types)).toEqual(new Set(['MODIFY']));
}, 180_000);
