/** A program in the kernel with its maps: just loaded, or opened from the pins of an earlier process. */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { flowCounter } from '../backends/common/flow/tables.ts';
import type { DeviceConfig } from '../backends/xdp/device-config.ts';
import {
  BpfError,
  type BpfMap,
  type BpfProgram,
  ensureBpffs,
  mapFault,
  openObjectApart,
  openPinnedMap,
  openPinnedProgram,
  unpin,
} from '../bpf/index.ts';
import { verdicts } from '../wire/index.ts';
import { programPolicy, XDP_PROGRAM_TYPE } from './program-policy.ts';

/** Maps of programs of requests that the agent works on. */
const REQUEST_MAPS = [
  'models',
  'model_ids',
  'zones',
  'ports',
  'steer',
  'ipv4_lpm',
  'tx',
  'telling',
  'refused',
  'verdicts',
] as const;
/** And of programs of flows. */
const FLOW_MAPS = [
  'flows',
  'flow_counts',
  'flow_model',
  'ports',
  'tx',
  'classes',
  'rates',
  'class_counts',
  'telling',
  'told',
] as const;
/** `weights` only where they are no constants. */
export type MapName = (typeof REQUEST_MAPS)[number] | (typeof FLOW_MAPS)[number] | 'weights';

export interface LoadedProgram {
  readonly program: BpfProgram;
  map(name: MapName): BpfMap;
  has(name: MapName): boolean;
  close(): void;
}

const mapNames = ({ kind, weights }: DeviceConfig): readonly MapName[] => [
  ...(kind === 'requests' ? REQUEST_MAPS : FLOW_MAPS),
  ...(weights.length > 0 ? (['weights'] as const) : []),
];

/** What a program of each kind counts in, and its cells. */
const COUNTERS = {
  requests: { map: 'verdicts', cells: verdicts.length, cellBytes: 8 },
  flows: { map: 'flow_counts', cells: 1, cellBytes: 8 * flowCounter.size },
} as const;

/** Values of variables that are set before loading. Who chooses addresses must not know the seed. */
const globalsOf = (kind: DeviceConfig['kind']): Readonly<Record<string, number>> =>
  kind === 'requests'
    ? { intransit_agent: 1 }
    : { intransit_flow_acts: 1, intransit_flow_seed: randomBytes(6).readUIntLE(0, 6) };

/**
 * Loads what a controller has sent, in a process of its own, if it is what a program of ours is.
 * @param before the program before, whose counters this one goes on with
 * @throws BpfError, also where the object is not what the manifest says
 */
export async function loadProgram(config: DeviceConfig, before?: LoadedProgram): Promise<LoadedProgram> {
  const { map: name, cells, cellBytes } = COUNTERS[config.kind];
  const counters = before?.has(name) ? before.map(name) : undefined;
  // A program of another version of ours counts other verdicts: its counts end with it.
  const goesOn = counters?.info.maxEntries === cells && counters.info.valueSize === cellBytes;
  const { program, maps, close } = await openObjectApart(config.program, {
    name: 'intransit',
    policy: programPolicy(config),
    globals: globalsOf(config.kind),
    ...(counters !== undefined && goesOn && { reuse: { name, map: counters } }),
  });
  return { program, map: (wanted) => maps.get(wanted)!, has: (wanted) => maps.has(wanted), close };
}

/** Keeps the program and its maps beyond this process. @param folder in the BPF file system */
export function pinProgram(loaded: LoadedProgram, config: DeviceConfig, folder: string): void {
  removePins(folder);
  ensureBpffs(folder.replace(/^\/sys\/fs\/bpf\/?/, ''));
  loaded.program.pin(join(folder, 'program'));
  for (const name of mapNames(config)) loaded.map(name).pin(join(folder, name));
}

/**
 * Undefined where some of it is missing, as after a restart of the machine, or is not what was pinned.
 * @param tag the kernel's hash of the program's instructions
 */
export function openProgram(config: DeviceConfig, folder: string, tag: string): LoadedProgram | undefined {
  const names = mapNames(config);
  if (!existsSync(join(folder, 'program')) || names.some((name) => !existsSync(join(folder, name))))
    return undefined;
  const program = openPinnedProgram(join(folder, 'program'));
  const maps = new Map(names.map((name) => [name, openPinnedMap(join(folder, name))]));
  checkPinned(program, maps, config, folder);
  const { weights } = config.manifest;
  const fits =
    program.info().tag === tag &&
    (weights.mode === 'static' ||
      !maps.has('weights') ||
      maps.get('weights')?.info.valueSize === weights.bytes);
  if (!fits) {
    program.close();
    for (const map of maps.values()) map.close();
    return undefined;
  }
  return {
    program,
    map(name) {
      const map = maps.get(name);
      if (map !== undefined) return map;
      throw new BpfError('bpf-unknown-name', `no map ${name} is pinned`, { remedy: 'start with --fresh' });
    },
    has: (name) => maps.has(name),
    close() {
      program.close();
      for (const map of maps.values()) map.close();
    },
  };
}

/** A pin may have been made by anybody who could write there, and of anything. @throws BpfError `bpf-pin` */
function checkPinned(
  program: BpfProgram,
  maps: ReadonlyMap<MapName, BpfMap>,
  config: DeviceConfig,
  folder: string,
): void {
  const policy = programPolicy(config);
  const faults = [...maps].flatMap(([name, { info }]) => {
    const fault = info.name === name ? mapFault(info, policy) : `is a map ${info.name}`;
    return fault === undefined ? [] : [`${name} ${fault}`];
  });
  if (program.name !== policy.program || program.info().type !== XDP_PROGRAM_TYPE)
    faults.push(`program is ${program.name}, of type ${program.info().type}`);
  if (faults.length === 0) return;
  throw new BpfError('bpf-pin', `${folder} holds other pins than this agent's: ${faults.join('; ')}`, {
    remedy: 'see who has made them; --remove takes them away, and --fresh begins anew',
  });
}

/** Removes a folder of pins, if it is there. */
export function removePins(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) unpin(join(folder, name));
  rmdirSync(folder);
}
