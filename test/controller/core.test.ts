import { describe, expect, test } from 'vitest';
import { models, ports, steer, weightsPlace, weightsTable } from '../../src/backends/common/table-model.ts';
import type { Desired, ModelVersion } from '../../src/controller/core/desired.ts';
import { type Difference, diff } from '../../src/controller/core/diff.ts';
import { deviceAfter, workerAfter, writesOf } from '../../src/controller/core/effects.ts';
import {
  currentOn,
  type Entity,
  heldOn,
  type KnownProgram,
  modelOn,
  type Observed,
  type ObservedDevice,
  weightsIn,
} from '../../src/controller/core/observed.ts';
import { type Step, unmet } from '../../src/controller/core/step.ts';
import { updatesOf } from '../../src/controller/core/updates.ts';
import { entityOf } from '../../src/controller/forwarding.ts';
import {
  CURRENT,
  isOf,
  isWeights,
  keyOf,
  modelIdEntity,
  versionEntity,
} from '../../src/controller/versions.ts';
import { modelDigest } from '../../src/import/json/digest.ts';
import type { Model } from '../../src/model/model.ts';
import { type Random, random } from '../support/random.ts';
import { smallModel } from './small-model.ts';

/** Two dense layers: three devices and a worker compute them, the first two devices the same one. */
const base = smallModel();
const LAYERS = base.layers.length;
const scaled = (version: number): Model => ({
  ...base,
  layers: base.layers.map((l) =>
    l.kind === 'dense' ? { ...l, weights: l.weights.map((w) => w - version) } : l,
  ),
});
const versions = new Map([1, 2, 3].map((v) => [v, scaled(v)]));
const ranges = [
  { from: 0, to: 1 },
  { from: 0, to: 1 },
  { from: 1, to: 2 },
];
const MODEL_ID = 1;

/** A program whose weights are two entries, each with the number of the version. */
function programOf(range: { readonly from: number; readonly to: number }): KnownProgram {
  const weights = (model: Model): Entity[] => {
    const number = [...versions].find(([, m]) => modelDigest(m) === modelDigest(model))![0];
    return [0, 1].map((part) => ({
      tableEntry: {
        tableId: weightsTable(2 * range.from + part, 0, []).id,
        isDefaultAction: true,
        action: { action: { actionId: 0x1000101, params: [{ paramId: 1, value: Uint8Array.of(number) }] } },
      },
    }));
  };
  const program = {
    p4info: {},
    cookie: BigInt(range.from + 7),
    build: async () => new Uint8Array(),
    slots: [0, 1],
    weights,
  };
  return { base, program };
}

const deviceNames = ranges.map((_, i) => `d${i}`);
/** Ways of packets: by all devices, or by one of the two that compute the same layer. */
const ways = [deviceNames, ['d0', 'd2'], ['d1', 'd2']] as const;

function desiredOf(
  version: number,
  { keep = [] as readonly number[], prepare = [] as readonly number[], places = [0, 1, 2] } = {},
): Desired {
  const wanted: ModelVersion[] = [version, ...prepare].map((v) => ({ version: v, model: versions.get(v)! }));
  const model = {
    modelId: MODEL_ID,
    versions: wanted.map((v) => ({ ...v, ours: true })),
    current: version,
    keep,
  };
  return {
    devices: ranges.map((range, i) => ({
      on: 'device',
      name: deviceNames[i]!,
      place: places[i]!,
      models: [{ ...model, held: () => ({ ...range, layerCount: LAYERS, threshold: 0 }) }],
      program: () => programOf(range),
      earlier: undefined,
      replaceProgram: false,
      forwarding: [entityOf({ table: ports, keys: [1], action: ports.actions[0]!, parameters: [2] })],
      others: 'go',
    })),
    workers: [{ on: 'worker', name: 'w', models: [model] }],
  };
}

type World = ReadonlyMap<string, Observed>;

const empty: World = new Map<string, Observed>([
  ...deviceNames.map(
    (name) => [name, { on: 'device', name, cookie: 'none', known: undefined, entities: [] }] as const,
  ),
  ['w', { on: 'worker', name: 'w', models: new Map() }],
]);

/** Every state that a device goes through in a step: after each single update. */
function* statesOf(there: ObservedDevice, step: Step): Generator<ObservedDevice> {
  const { effect } = step;
  if (effect.do === 'push') {
    yield deviceAfter(there, effect);
    return;
  }
  let device = there;
  for (const write of writesOf(effect, there))
    for (const { type, entity } of updatesOf(device.entities, write)) {
      const key = keyOf(entity!);
      const others = device.entities.filter((e) => keyOf(e) !== key);
      const isGone = type === 'DELETE' || entity!.tableEntry!.action === undefined;
      device = { ...device, entities: isGone ? others : [...others, entity!] };
      yield device;
    }
}

interface Moment {
  readonly world: World;
  /** Whether packets that entered before may still be under way. */
  readonly drained: boolean;
}

/** All states of a run, in order; a kill may end it in any. */
function momentsOf(world: World, { steps }: Difference): Moment[] {
  const moments: Moment[] = [{ world, drained: false }];
  let now = world;
  for (const step of steps) {
    if (!step.changes) continue;
    expect(unmet(step, (name) => now.get(name))).toBeUndefined();
    const there = now.get(step.object)!;
    const states = there.on === 'device' ? statesOf(there, step) : [workerAfter(there, step.effect)];
    for (const state of states) {
      now = new Map([...now, [step.object, state]]);
      moments.push({ world: now, drained: step.stage.drained === true });
    }
  }
  return moments;
}

/** Numbers of the weights by which a packet was computed, layer by layer; undefined for layers that nobody computed. */
function walk(way: readonly string[], worldAt: (hop: number) => World): (number | string | undefined)[] {
  const computed: (number | string | undefined)[] = Array.from({ length: LAYERS }, () => undefined);
  let [version, cursor] = [CURRENT, 0];
  for (const [hop, name] of way.entries()) {
    const device = worldAt(hop).get(name)!;
    if (device.on !== 'device') continue;
    const held = heldOn(device, MODEL_ID, version);
    if (held === undefined || held.from !== cursor) continue;
    const numbers = weightsIn(device, held.slot).map(
      (e) => e.tableEntry!.action!.action!.params![0]!.value![0]!,
    );
    computed[cursor] = numbers.length === 2 && numbers[0] === numbers[1] ? numbers[0] : 'mixed';
    version = held.version;
    cursor = held.to;
  }
  const worker = worldAt(way.length).get('w')!;
  if (worker.on !== 'worker') return computed;
  const { current, versions: held } = modelOn(worker, MODEL_ID);
  const own = version === CURRENT ? current : version;
  if (own !== undefined && held.has(own)) for (; cursor < LAYERS; cursor++) computed[cursor] = own;
  return computed;
}

/** Every packet, wherever it is when something changes: computed by one version wholly, or left alone from some layer on. */
function expectOneVersion(moments: readonly Moment[], allComputed: boolean): void {
  for (const way of ways) expectOneVersionOn(way, moments, allComputed);
}

function expectOneVersionOn(way: readonly string[], moments: readonly Moment[], allComputed: boolean): void {
  const hops = way.length + 1;
  const check = (at: readonly number[]) => {
    const numbers = walk(way, (hop) => moments[at[hop]!]!.world);
    const done = numbers.filter((n) => n !== undefined);
    if (new Set(done).size > 1 || done.includes('mixed') || (allComputed && done.length < LAYERS))
      expect.fail(
        `a packet by ${way.join(', ')} at moments ${at.join(', ')} of ${moments.length} was computed by ${numbers.join(', ')}`,
      );
  };
  const firstDrained = moments.findIndex((m) => m.drained);
  for (let begin = 0; begin < moments.length; begin++) {
    // What enters before the drain has left when it is over.
    const end = firstDrained >= 0 && begin < firstDrained ? firstDrained : moments.length;
    for (let turn = begin; turn < end; turn++)
      for (let hop = 1; hop <= hops; hop++)
        check(Array.from({ length: hops }, (_, i) => (i < hop ? begin : turn)));
  }
}

const finished = (world: World, wanted: Desired): World => diff(wanted, world).after;

/** A state in which a kill left a run. */
function killed(r: Random, world: World, wanted: Desired): World {
  return r.pick(momentsOf(world, diff(wanted, world))).world;
}

describe('desired, observed -> steps', () => {
  test('from nothing to a version: then there is nothing to do', () => {
    const found = diff(desiredOf(1), empty);
    expect([found.inSync, found.obstacles.programs.size]).toEqual([false, 3]);
    const { after } = found;
    expect([...after.values()].map((o) => currentOn(o, MODEL_ID))).toEqual([1, 1, 1, 1]);
    expect(diff(desiredOf(1), after).inSync).toBe(true);
  });

  test('the order of a rollout: known from the end of the path on, flipped from its beginning, removed when drained', () => {
    const { steps } = diff(desiredOf(2), finished(empty, desiredOf(1)));
    expect(steps.filter((s) => s.changes).map((s) => `${s.stage.step} ${s.object}`)).toEqual([
      ...['weights w', 'weights d0', 'weights d1', 'weights d2'],
      ...['version d2', 'version d1', 'version d0'],
      ...['current d0', 'current d1', 'current d2', 'current w'],
      ...['remove d0', 'remove d1', 'remove d2', 'remove w'],
    ]);
  });

  test('a flip requires that all who are flipped hold the version', () => {
    const old = finished(empty, desiredOf(1));
    const { steps } = diff(desiredOf(2), old);
    const flip = steps.find((s) => s.stage.step === 'current')!;
    expect(unmet(flip, (name) => old.get(name))).toContain('does not hold version 2');
    const lost = (name: string) => (name === 'd2' ? empty : finished(old, desiredOf(2))).get(name);
    expect(unmet(flip, lost)).toBe('d2 does not hold version 2: install it first');
  });

  test('what is undone is what was not there before', () => {
    const old = finished(empty, desiredOf(1));
    const undone = (wanted: Desired) =>
      diff(wanted, old).steps.flatMap((s) => (s.undo === undefined ? [] : [`${s.object}: ${s.undo.detail}`]));
    expect(new Set(undone(desiredOf(2)))).toEqual(
      new Set(
        ['d0', 'd1', 'd2', 'w'].flatMap((d) => [`${d}: version 2 taken off`, `${d}: back to version 1`]),
      ),
    );
    expect(undone(desiredOf(1))).toEqual([]);
  });

  test('a version that is prepared is no excess, nor is one that is kept', () => {
    const both = finished(finished(empty, desiredOf(1)), desiredOf(1, { prepare: [2] }));
    expect(diff(desiredOf(1, { prepare: [2] }), both).inSync).toBe(true);
    expect(diff(desiredOf(1, { keep: [2] }), both).inSync).toBe(true);
    expect(
      diff(desiredOf(1), both)
        .steps.filter((s) => s.changes)
        .map((s) => s.stage.step),
    ).toEqual(Array.from({ length: 4 }, () => 'remove'));
  });

  test('what was damaged is mended, a default action too', () => {
    const whole = finished(empty, desiredOf(1));
    const d0 = whole.get('d0') as ObservedDevice;
    const broken = (entities: readonly Entity[]): World => new Map([...whole, ['d0', { ...d0, entities }]]);
    const damaged = d0.entities.map((e) =>
      weightsPlace(e.tableEntry?.tableId ?? 0)?.layer === 0
        ? {
            tableEntry: {
              ...e.tableEntry!,
              action: { action: { params: [{ paramId: 1, value: Uint8Array.of(9) }] } },
            },
          }
        : e,
    );
    for (const [entities, steps] of [
      [damaged, ['weights']],
      [d0.entities.filter((e) => !isWeights(e)), ['weights']],
      [d0.entities.filter((e) => !isOf(models, e)), ['version', 'current']],
      [d0.entities.filter((e) => !isOf(ports, e)), ['forwarding']],
    ] as const) {
      const found = diff(desiredOf(1), broken(entities));
      expect(found.steps.filter((s) => s.changes).map((s) => s.stage.step)).toEqual(steps);
      expect(diff(desiredOf(1), found.after).inSync).toBe(true);
    }
  });

  test('a budget is refused where the program has no meter', () => {
    const { devices, workers } = desiredOf(1);
    const limited = devices.map((d) => ({
      ...d,
      models: d.models.map((m) => ({ ...m, budget: { perSecond: 9, burst: 1 } })),
    }));
    const { steps, obstacles } = diff({ devices: limited, workers }, empty);
    expect([steps, obstacles.refusals.map((r) => r.message)]).toEqual([
      [],
      deviceNames.map((name) => `device ${name} cannot limit model 1: its program has no meter \`budgets\``),
    ]);
  });

  test('a device that was not observed is left out, and the others are brought on', () => {
    const { steps } = diff(desiredOf(1), new Map([...empty].filter(([name]) => name !== 'd1')));
    expect(new Set(steps.map((s) => s.object))).toEqual(new Set(['d0', 'd2', 'w']));
  });

  test('what is of other deployments stays: their versions, their steering, and forwarding that they may need', () => {
    const shared = (wanted: Desired): Desired => ({
      ...wanted,
      devices: wanted.devices.map((d) => ({ ...d, others: { models: [MODEL_ID] } })),
    });
    const hop = (modelId: number) =>
      entityOf({ table: steer, keys: [modelId, 1], action: steer.actions[1]!, parameters: [3] });
    const held = { slot: 3, version: 1, from: 0, to: 1, layerCount: 2, threshold: 0 };
    const theirs = [
      versionEntity(9, 1, held),
      versionEntity(9, CURRENT, held),
      modelIdEntity(9),
      hop(9),
      entityOf({ table: ports, keys: [7], action: ports.actions[0]!, parameters: [8] }),
    ];
    const ours = finished(empty, shared(desiredOf(1)));
    const d0 = ours.get('d0') as ObservedDevice;
    const both: World = new Map([
      ...ours,
      ['d0', { ...d0, entities: [...d0.entities, ...theirs, hop(MODEL_ID)] }],
    ]);
    const keys = (world: World) => (world.get('d0') as ObservedDevice).entities.map(keyOf).sort();
    const expected = [...d0.entities, ...theirs].map(keyOf).sort();
    // Steering of our model that nobody asked for goes, theirs does not.
    const mended = diff(shared(desiredOf(1)), both);
    expect(mended.inSync).toBe(false);
    expect(keys(mended.after)).toEqual(expected);
    // Alone on the device we say all of its forwarding.
    const alone = new Map([...both, ['d0', { ...d0, entities: [...d0.entities, hop(9), theirs[4]!] }]]);
    expect(keys(diff(shared(desiredOf(1)), alone).after)).toEqual([...d0.entities, hop(9)].map(keyOf).sort());
    // Who has the device whole leaves nothing of others.
    expect(keys(diff(desiredOf(1), both).after)).toEqual(d0.entities.map(keyOf).sort());
  });

  test('a host takes a program beside what it runs, also one that is ours alone; one that only forwards needs none', () => {
    const [device] = desiredOf(1).devices;
    const own = programOf(ranges[0]!);
    const beside = { runs: false, program: { ...own.program, cookie: 99n, joins: true as const } };
    const joining = { ...own, program: { ...own.program, beside: () => beside } };
    const wanted = { ...device!, program: () => joining };
    const running = new Uint8Array(1);
    const there = { on: 'device', name: 'd0', cookie: 55n, known: undefined, running, entities: [] } as const;
    const found = diff({ devices: [wanted], workers: [] }, new Map([['d0', there]]));
    expect(found.obstacles.refusals).toEqual([]);
    expect(found.steps.filter((s) => s.changes).map((s) => s.stage.step)).toEqual([
      ...['program', 'weights', 'version', 'current', 'forwarding'],
    ]);
    const only = diff({ devices: [{ ...wanted, models: [] }], workers: [] }, new Map([['d0', there]]));
    expect(only.obstacles.refusals).toEqual([]);
    expect(only.steps.filter((s) => s.changes).map((s) => s.stage.step)).toEqual(['forwarding']);
    // Where no program can stand beside what runs there, it says so.
    const alone = { ...own, program: { ...own.program, beside: () => undefined } };
    const refused = diff(
      { devices: [{ ...wanted, models: [], program: () => alone }], workers: [] },
      new Map([['d0', there]]),
    );
    expect(refused.obstacles.refusals.map((d) => d.code)).toEqual(['device-program']);
  });

  test('a version takes a free slot of its own program, whatever the other programs hold', () => {
    const within = (slots: readonly number[]): Desired => {
      const wanted = desiredOf(1);
      return {
        ...wanted,
        devices: wanted.devices.map((d, i) => ({
          ...d,
          program: () => {
            const known = programOf(ranges[i]!);
            return { ...known, program: { ...known.program, slots } };
          },
        })),
      };
    };
    const { after } = diff(within([32, 33]), empty);
    expect(heldOn(after.get('d0') as ObservedDevice, MODEL_ID, 1)?.slot).toBe(32);
    expect(weightsIn(after.get('d0') as ObservedDevice, 32)).toHaveLength(2);
  });

  test.each([
    ['behind each other', [0, 1, 2]],
    ['two of which share the jobs of a layer', [0, 0, 1]],
  ])('from one version to another no packet is lost or mixed, whatever it meets: devices %s', (_, places) => {
    const old = finished(empty, desiredOf(1));
    for (const more of [{}, { keep: [1] }, { prepare: [3] }]) {
      const wanted = desiredOf('prepare' in more ? 1 : 2, { ...more, places });
      expectOneVersion(momentsOf(old, diff(wanted, old)), true);
    }
  });

  test.each(Array.from({ length: 40 }, (_, i) => i))(
    'a run that was killed anywhere, and the runs behind it: one version wholly (seed %i)',
    (seed) => {
      const r = random(seed);
      let world = r.chance(0.3) ? empty : finished(empty, desiredOf(1));
      for (let kill = r.int(1, 3); kill > 0; kill--) {
        world = killed(r, world, desiredOf(r.int(1, 3), r.chance(0.3) ? { keep: [r.int(1, 3)] } : {}));
        // Packets of the killed run have left before anybody begins anew.
        expectOneVersion([{ world, drained: false }], false);
      }
      const wanted = desiredOf(r.int(1, 3));
      const found = diff(wanted, world);
      expectOneVersion(momentsOf(world, found), false);
      expect(diff(wanted, found.after).inSync).toBe(true);
    },
  );
});
