/** The programs of a device in the kernel with their maps: the dispatcher, and behind it a program a shape. */
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { flowCounter } from '../backends/common/flow/tables.ts';
import {
  type DeviceConfig,
  type FlowConfig,
  hasFlows,
  type ProgramConfig,
  type RequestConfig,
} from '../backends/xdp/device-config.ts';
import { flowSecrets } from '../backends/xdp/flow/secrets.ts';
import {
  type ApartObject,
  BpfError,
  type BpfMap,
  type BpfProgram,
  ensureBpffs,
  mapFault,
  type ObjectPolicy,
  openObjectsApart,
  openPinnedMap,
  openPinnedProgram,
  type PinnedMap,
  type PinnedProgram,
  unpin,
} from '../bpf/index.ts';
import { type DeviceMapName, deviceMaps, PROGRAMS } from '../dataplane/abi.ts';
import {
  DISPATCHER,
  FLOW_ANSWER,
  FLOW_PROGRAM,
  FLOW_SWEEP,
  flowPolicy,
  PROGRAM,
  programPolicy,
  XDP_PROGRAM_TYPE,
} from './program-policy.ts';

/** The pin of the program that stands on the interfaces; maps have their names. */
export const ENTRY_PIN = 'entry';
const [SWEEP_PIN, ANSWER_PIN] = ['sweep', 'answer'];

const DEVICE_MAPS = deviceMaps.map((m) => m.name);
/** Maps of programs of flows that the agent works on: those that all of them have in common. */
const FLOW_MAPS = ['ports', 'tx', 'classes', 'rates', 'class_counts', 'telling', 'told', 'asking'] as const;
/** In common beside them, and no business of the agent's. */
const MORE_COMMON = ['message', 'flow_test'] as const;

/**
 * And those of each. `weights` where they are no constants, `flow_range` where flows are classified at their ends, `next` where several
 * models stand beside each other; `flow_answer` of one that may ask a larger model, which is one alone.
 */
export type OwnFlowMap =
  | 'flows'
  | 'flow_counts'
  | 'flow_model'
  | 'weights'
  | 'flow_range'
  | 'next'
  | 'flow_answer';

/** A map of a program of requests or of flows. */
export type MapName = DeviceMapName | (typeof FLOW_MAPS)[number];

/** A program of flows with what is its own. */
export interface FlowProgram {
  readonly program: BpfProgram;
  /** Of flows that are classified at their ends: what ends those that no packet comes to any more. */
  readonly sweep: BpfProgram | undefined;
  /** What writes a larger model's verdict into a flow; of a model that stands alone. */
  readonly answer: BpfProgram | undefined;
  map(name: OwnFlowMap): BpfMap;
}

/** Programs that were loaded, and nothing runs yet. */
export interface LoadedPrograms {
  /** By index; those that a running data plane has already are not among them. */
  readonly objects: ReadonlyMap<number, ApartObject>;
  close(): void;
}

/** A data plane that has its pins, and so outlives this process. */
export interface DataPlane {
  readonly config: DeviceConfig;
  /** What stands on the interfaces: the dispatcher of programs of requests, or the first program of flows. */
  readonly entry: BpfProgram;
  map(name: MapName): BpfMap;
  /** Of flows, by model. */
  flow(model: number): FlowProgram;
  /** Of requests. */
  program(index: number): BpfProgram;
  /** Of a program of requests; undefined where they are constants of it. */
  weights(index: number): BpfMap | undefined;
  /** The kernel's hashes of all its instructions. */
  readonly tag: string;
  close(): void;
}

/** A pin, and what must be there: a program or map of this name. */
interface Pin {
  /** Of flows: of which program. */
  readonly model?: number;
  readonly pin: string;
  readonly kind: 'program' | 'map';
  readonly name: string;
  readonly policy: ObjectPolicy;
}

const programPin = (index: number): string => `program-${index}`;
const weightsPin = (index: number): string => `weights-${index}`;

function pinsOf(config: DeviceConfig): readonly Pin[] {
  if (config.kind === 'flows') {
    const policy = flowPolicy(config);
    return [
      ...FLOW_MAPS.map((name) => ({ pin: name, kind: 'map' as const, name, policy })),
      ...config.models.flatMap((_, model) => flowPins(config, model)),
    ];
  }
  const policy = programPolicy(config.programs[0]!);
  return [
    { pin: ENTRY_PIN, kind: 'program', name: DISPATCHER, policy },
    ...DEVICE_MAPS.map((name) => ({ pin: name, kind: 'map' as const, name, policy })),
    ...config.programs.flatMap((own): Pin[] => [
      { pin: programPin(own.index), kind: 'program', name: PROGRAM, policy: programPolicy(own) },
      ...(own.weights.length > 0
        ? [{ pin: weightsPin(own.index), kind: 'map' as const, name: 'weights', policy: programPolicy(own) }]
        : []),
    ]),
  ];
}

/** The pin of what is one model's own; those of the first are what they are of one alone. */
const ownPin = (name: string, model: number): string => (model === 0 ? name : `${name}-${model}`);

function flowPins(config: FlowConfig, model: number): readonly Pin[] {
  const { models, isSet } = config;
  const { manifest, weights } = models[model]!;
  const { atEnd } = manifest.features;
  const policy = flowPolicy(config, model);
  const maps: readonly OwnFlowMap[] = [
    'flow_model',
    ...(hasFlows(config, model) ? (['flows', 'flow_counts'] as const) : []),
    ...(isSet ? (['next'] as const) : (['flow_answer'] as const)),
    ...(weights.length > 0 ? (['weights'] as const) : []),
    ...(atEnd ? (['flow_range'] as const) : []),
  ];
  const pin = (kind: Pin['kind'], own: string, name: string): Pin => ({
    ...{ model, pin: ownPin(own, model), kind, name, policy },
  });
  return [
    pin('program', ENTRY_PIN, FLOW_PROGRAM),
    ...(isSet ? [] : [pin('program', ANSWER_PIN, FLOW_ANSWER)]),
    ...(atEnd ? [pin('program', SWEEP_PIN, FLOW_SWEEP)] : []),
    ...maps.map((name) => pin('map', name, name)),
  ];
}

/** Whether two configs mean the same program, to the last byte. */
export const isSameProgram = (a: ProgramConfig | undefined, b: ProgramConfig): boolean =>
  a !== undefined &&
  a.index === b.index &&
  Buffer.compare(a.elf, b.elf) === 0 &&
  JSON.stringify(a.manifest) === JSON.stringify(b.manifest);

const hasSameWeights = (a: ProgramConfig, b: ProgramConfig): boolean =>
  a.slots === b.slots && JSON.stringify(a.weights) === JSON.stringify(b.weights);

/**
 * Loads what a controller has sent, in a process of its own, if they are what programs of ours are.
 * @param running programs of requests work on its maps, and those that it has are not loaded again; one of flows goes on with its
 *   counts
 * @throws BpfError, also where an object is not what its manifest says
 */
export async function loadPrograms(config: DeviceConfig, running?: DataPlane): Promise<LoadedPrograms> {
  if (config.kind === 'flows') return loadFlows(config, running);
  const missing = config.programs.filter((own) => !isSameProgram(programIn(running, own.index), own));
  if (missing.length === 0) return loadedPrograms(new Map());
  const wanted = missing.map((own) => ({
    name: 'intransit',
    elf: own.elf,
    policy: programPolicy(own),
    globals: { intransit_agent: 1 },
    reuse: mapsFor(own, running),
  }));
  const loaded = await openObjectsApart(wanted, DEVICE_MAPS);
  return loadedPrograms(new Map(missing.map(({ index }, i) => [index, loaded[i]!])));
}

const loadedPrograms = (objects: LoadedPrograms['objects']): LoadedPrograms => ({
  objects,
  close() {
    for (const object of objects.values()) object.close();
  },
});

async function loadFlows(config: FlowConfig, running: DataPlane | undefined): Promise<LoadedPrograms> {
  const wanted = config.models.map(({ elf }, model) => {
    const counters = countersOf(running, model);
    return {
      ...{ name: 'intransit', elf, policy: flowPolicy(config, model) },
      globals: {
        intransit_flow_acts: 1,
        intransit_flow_asks: config.isSet ? 0 : 1,
        intransit_flow_secrets: [...flowSecrets()],
      },
      ...(counters !== undefined && { reuse: new Map([['flow_counts', counters]]) }),
    };
  });
  const loaded = await openObjectsApart(wanted, [...FLOW_MAPS, ...MORE_COMMON]);
  return loadedPrograms(new Map(loaded.entries()));
}

/** The counts of a model of flows that runs. One of another version of ours counts other outcomes: its counts end with it. */
function countersOf(running: DataPlane | undefined, model: number): BpfMap | undefined {
  if (running?.config.kind !== 'flows') return undefined;
  if (!hasFlows(running.config, model)) return undefined;
  const counters = running.flow(model).map('flow_counts');
  return counters.info.valueSize === 8 * flowCounter.size ? counters : undefined;
}

const programIn = (plane: DataPlane | undefined, index: number): ProgramConfig | undefined =>
  plane?.config.kind === 'requests' ? plane.config.programs.find((p) => p.index === index) : undefined;

/** Maps of a running data plane that a program is to work on. */
function mapsFor(own: ProgramConfig, running: DataPlane | undefined): ReadonlyMap<string, BpfMap> {
  const maps = new Map<string, BpfMap>();
  if (running?.config.kind !== 'requests') return maps;
  for (const name of DEVICE_MAPS) maps.set(name, running.map(name));
  const old = programIn(running, own.index);
  // Weights that lie as before stay where they are: the program changes under them.
  const weights = old !== undefined && hasSameWeights(old, own) ? running.weights(own.index) : undefined;
  if (weights !== undefined) maps.set('weights', weights);
  return maps;
}

/**
 * Pins what was loaded, and what stays of a running data plane, and opens it from there.
 * @param folder in the BPF file system @param running of requests, and only if what was loaded works on its maps
 * @throws BpfError; no pins are left then, but where the programs lack some: those that were there stay
 */
export function pinDataPlane(
  { objects }: LoadedPrograms,
  config: DeviceConfig,
  folder: string,
  running?: DataPlane,
): DataPlane {
  // All of it is at hand before anything that may run is touched: a program of another version can lack some.
  const items = itemsOf(objects, config, running);
  removePins(folder);
  ensureBpffs(folder.replace(/^\/sys\/fs\/bpf\/?/, ''));
  try {
    for (const [pin, item] of items) item.pin(join(folder, pin));
    return open(config, folder);
  } catch (error) {
    removePins(folder);
    throw error;
  }
}

interface Pinnable {
  pin(path: string): void;
}

/** What is pinned, by the names of the pins. @throws BpfError `bpf-unknown-name` where the programs lack some of it */
function itemsOf(
  objects: LoadedPrograms['objects'],
  config: DeviceConfig,
  running: DataPlane | undefined,
): ReadonlyMap<string, Pinnable> {
  const [first] = objects.values();
  const named = <T>(items: ReadonlyMap<string, T> | undefined, name: string): T => {
    const item = items?.get(name);
    if (item !== undefined) return item;
    throw new BpfError('bpf-unknown-name', `the program has no ${name}, which this agent works on`, {
      remedy: 'it is of another version: push it again by a controller of this one',
    });
  };
  if (config.kind === 'flows')
    return new Map(
      pinsOf(config).map(({ model = 0, pin, kind, name }): [string, Pinnable] => {
        const object = objects.get(model);
        return [pin, kind === 'map' ? named(object?.maps, name) : named(object?.programs, name)];
      }),
    );
  return new Map<string, Pinnable>([
    [ENTRY_PIN, running === undefined ? named(first?.programs, DISPATCHER) : dispatcherOf(first, running)],
    ...DEVICE_MAPS.map((name): [string, Pinnable] => [name, running?.map(name) ?? named(first?.maps, name)]),
    ...config.programs.flatMap(({ index, weights }): [string, Pinnable][] => {
      const object = objects.get(index);
      const program = object === undefined ? running!.program(index) : named(object.programs, PROGRAM);
      const own = object?.maps.get('weights') ?? running?.weights(index);
      return [
        [programPin(index), program],
        ...(weights.length > 0
          ? [[weightsPin(index), own ?? named(object?.maps, 'weights')] as [string, Pinnable]]
          : []),
      ];
    }),
  ]);
}

/** The one that runs goes on, unless what was loaded brings another. */
function dispatcherOf(loaded: ApartObject | undefined, running: DataPlane): BpfProgram {
  const own = loaded?.programs.get(DISPATCHER);
  return own !== undefined && own.info().tag !== running.entry.info().tag ? own : running.entry;
}

/**
 * Undefined where some of it is missing, as after a restart of the machine, or is not what was pinned.
 * @param tag as `DataPlane.tag` was
 */
export function openDataPlane(config: DeviceConfig, folder: string, tag: string): DataPlane | undefined {
  if (pinsOf(config).some(({ pin }) => !existsSync(join(folder, pin)))) return undefined;
  const plane = open(config, folder);
  if (plane.tag === tag) return plane;
  plane.close();
  return undefined;
}

/** A pin may have been made by anybody who could write there, and of anything. @throws BpfError `bpf-pin` */
function open(config: DeviceConfig, folder: string): DataPlane {
  const programs = new Map<string, PinnedProgram>();
  const maps = new Map<string, PinnedMap>();
  const close = (): void => {
    for (const item of [...programs.values(), ...maps.values()]) item.close();
  };
  try {
    const faults: string[] = [];
    for (const { pin, kind, name, policy } of pinsOf(config)) {
      const path = join(folder, pin);
      if (kind === 'map') {
        const map = openPinnedMap(path);
        maps.set(pin, map);
        const fault = map.info.name === name ? mapFault(map.info, policy) : `is a map ${map.info.name}`;
        if (fault !== undefined) faults.push(`${pin} ${fault}`);
        continue;
      }
      const program = openPinnedProgram(path);
      programs.set(pin, program);
      // The kernel keeps fifteen characters of a name.
      if (program.name !== name.slice(0, 15) || program.info().type !== XDP_PROGRAM_TYPE)
        faults.push(`${pin} is ${program.name}, of type ${program.info().type}`);
    }
    if (faults.length > 0)
      throw new BpfError('bpf-pin', `${folder} holds other pins than this agent's: ${faults.join('; ')}`, {
        remedy: 'see who has made them; --remove takes them away, and --fresh begins anew',
      });
  } catch (error) {
    close();
    throw error;
  }
  const mapOf = (pin: string): BpfMap => {
    const map = maps.get(pin);
    if (map !== undefined) return map;
    throw new BpfError('bpf-unknown-name', `no map ${pin} is pinned`, { remedy: 'start with --fresh' });
  };
  return {
    config,
    entry: programs.get(ENTRY_PIN)!,
    map: mapOf,
    flow: (model) => ({
      program: programs.get(ownPin(ENTRY_PIN, model))!,
      sweep: programs.get(ownPin(SWEEP_PIN, model)),
      answer: programs.get(ownPin(ANSWER_PIN, model)),
      map: (name) => mapOf(ownPin(name, model)),
    }),
    program: (index) => programs.get(programPin(index))!,
    weights: (index) => maps.get(weightsPin(index)),
    tag: [...programs.values()].map((p) => p.info().tag).join(' '),
    close,
  };
}

/**
 * Makes the dispatcher know the programs that there are, and no others. What is right is not touched.
 * @returns how many of its places were not
 */
export function showPrograms(plane: DataPlane, config: RequestConfig): number {
  const programs = plane.map('programs');
  const layers = plane.map('first_layers');
  const begins = new Set(config.programs.map((p) => p.manifest.layers.from));
  let changed = 0;
  for (let index = 0; index < PROGRAMS; index++) {
    const wanted = config.programs.some((p) => p.index === index) ? plane.program(index) : undefined;
    const there = programs.lookup(index)?.readUInt32LE();
    if (there === wanted?.info().id) continue;
    if (wanted === undefined) programs.delete(index);
    else programs.update(index, wanted.fd);
    changed++;
  }
  for (const { key, value } of layers.elements()) {
    const wanted = begins.has(key.readUInt32LE()) ? 1 : 0;
    if (value.readUInt32LE() === wanted) continue;
    layers.update(key, wanted);
    changed++;
  }
  return changed;
}

/** Makes programs of flows hand on what is not their own. What is right is not touched. @returns how many were not */
export function joinFlows(plane: DataPlane, { models, isSet, packets }: FlowConfig): number {
  if (!isSet) return 0;
  const last = models.length - 1;
  const members = packets ? last : models.length;
  let changed = 0;
  for (let model = 0; model < members; model++) {
    const next = plane.flow(model).map('next');
    const wanted = [model + 1 < members ? model + 1 : undefined, packets ? last : undefined];
    for (const [place, to] of wanted.entries()) {
      if (to === undefined) continue;
      const { program } = plane.flow(to);
      if (next.lookup(place)?.readUInt32LE() === program.info().id) continue;
      next.update(place, program.fd);
      changed++;
    }
  }
  return changed;
}

/** Removes a folder of pins, if it is there. */
export function removePins(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) unpin(join(folder, name));
  rmdirSync(folder);
}
