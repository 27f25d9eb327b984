/** A program in the kernel with its maps: just loaded, or opened from the pins of an earlier process. */
import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceConfig } from '../backends/xdp/device-config.ts';
import {
  BpfError,
  type BpfMap,
  type BpfProgram,
  ensureBpffs,
  openObject,
  openPinnedMap,
  openPinnedProgram,
  unpin,
} from '../bpf/index.ts';

/** Maps that the agent works on; `weights` only where they are no constants. */
const MAPS = [
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
export type MapName = (typeof MAPS)[number] | 'weights';

const PROGRAM = 'intransit';

export interface LoadedProgram {
  readonly program: BpfProgram;
  map(name: MapName): BpfMap;
  close(): void;
}

const mapNames = ({ weights }: DeviceConfig): readonly MapName[] =>
  weights.length > 0 ? [...MAPS, 'weights'] : MAPS;

/**
 * @param counters of the program before, which this one goes on with
 * @throws BpfError, VerifierError; Error where the object is not what the manifest says
 */
export async function loadProgram(config: DeviceConfig, counters?: BpfMap): Promise<LoadedProgram> {
  const object = await openObject(config.program, {
    name: 'intransit',
    globals: { intransit_agent: 1 },
    ...(counters !== undefined && { maps: { verdicts: counters } }),
  });
  const loaded: LoadedProgram = {
    get program() {
      return object.program(PROGRAM);
    },
    map: (name) => object.map(name),
    close: () => object.close(),
  };
  const missing = mapNames(config).filter((name) => !object.maps.has(name));
  const { weights } = config.manifest;
  const bytes = weights.mode === 'static' ? 0 : weights.bytes;
  const held = object.maps.get('weights')?.info.valueSize ?? 0;
  if (missing.length === 0 && (config.weights.length === 0 || held === bytes)) return loaded;
  loaded.close();
  throw new Error(
    missing.length > 0
      ? `the program has no map ${missing.join(', ')}: compile it with this version of intransit`
      : `the program holds ${held} bytes of weights, its manifest says ${bytes}`,
  );
}

/** Keeps the program and its maps beyond this process. @param folder in the BPF file system */
export function pinProgram(loaded: LoadedProgram, config: DeviceConfig, folder: string): void {
  removePins(folder);
  ensureBpffs(folder.replace(/^\/sys\/fs\/bpf\/?/, ''));
  loaded.program.pin(join(folder, 'program'));
  for (const name of mapNames(config)) loaded.map(name).pin(join(folder, name));
}

/** Undefined where some of it is missing, as after a restart of the machine. */
export function openProgram(config: DeviceConfig, folder: string): LoadedProgram | undefined {
  const names = mapNames(config);
  if (!existsSync(join(folder, 'program')) || names.some((name) => !existsSync(join(folder, name))))
    return undefined;
  const program = openPinnedProgram(join(folder, 'program'));
  const maps = new Map(names.map((name) => [name, openPinnedMap(join(folder, name))]));
  return {
    program,
    map(name) {
      const map = maps.get(name);
      if (map !== undefined) return map;
      throw new BpfError('bpf-unknown-name', `no map ${name} is pinned`, { remedy: 'start with --fresh' });
    },
    close() {
      program.close();
      for (const map of maps.values()) map.close();
    },
  };
}

/** Removes a folder of pins, if it is there. */
export function removePins(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) unpin(join(folder, name));
  rmdirSync(folder);
}
