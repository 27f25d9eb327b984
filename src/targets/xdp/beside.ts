import {
  type DeviceConfig,
  decodeDeviceConfig,
  encodeDeviceConfig,
} from '../../backends/xdp/device-config.ts';
import { programLayout, xdpP4InfoOf } from '../../backends/xdp/p4info.ts';
import type { XdpPlan } from '../../backends/xdp/plan.ts';
import { weightSlots } from '../../backends/xdp/weights.ts';
import { firstSlotOf, PROGRAM_SLOTS, PROGRAMS } from '../../dataplane/abi.ts';
import type { Beside } from '../target.ts';

/** A program that is to run on a host, and the hash of its source, by which it is known again. */
export interface OwnProgram {
  readonly plan: XdpPlan;
  readonly source: string;
}

/** Programs behind the dispatcher of a host: where each of ours has its slots, and all of them together. */
export interface Placed extends Omit<Beside, 'slots' | 'deviceConfig'> {
  /** Slots of the device, of each of ours. */
  readonly slots: readonly (readonly number[])[];
  /** The config of all. @param own what each of ours says alone */
  deviceConfig(own: readonly Uint8Array[]): Uint8Array;
}

/**
 * Places programs behind the dispatcher of a host that may run others: each has the place that it has there, or the first that is
 * free. Others stay as they were pushed, but for those that hold nothing.
 * @param running absent where the host is ours alone
 */
export function placePrograms(
  own: readonly OwnProgram[],
  running: Uint8Array | undefined,
  inUse: (slot: number) => boolean,
): Placed | undefined {
  const there = running === undefined ? [] : programsOf(running);
  if (there === undefined) return undefined;
  if (there.some((p) => p.manifest.port !== own[0]?.plan.options.port)) return undefined;
  const seen = new Set<number>();
  // Two of one source are two programs.
  const found = own.map(({ source }) => {
    const program = there.find((p) => p.source === source && !seen.has(p.index));
    if (program !== undefined) seen.add(program.index);
    return program;
  });
  const others = there.filter((p) => !found.includes(p) && slotsOf(p.index, PROGRAM_SLOTS).some(inUse));
  const taken = new Set([...others, ...found].flatMap((p) => (p === undefined ? [] : [p.index])));
  const free = slotsOf(0, PROGRAMS).filter((i) => !taken.has(i));
  const indexes = found.map((p) => p?.index ?? free.shift());
  if (!allKnown(indexes)) return undefined;
  const layouts = [...others, ...own.map(({ plan }, i) => programLayout(plan, indexes[i]!))];
  return {
    runs: found.every((p) => p !== undefined),
    slots: own.map(({ plan }, i) => slotsOf(indexes[i]!, weightSlots(plan))),
    p4info: () => xdpP4InfoOf([...layouts].sort((a, b) => a.index - b.index)),
    source: () =>
      [...others, ...own.map(({ source }, i) => ({ index: indexes[i]!, source }))]
        .map((p) => `${p.index} ${p.source}`)
        .sort(),
    deviceConfig(configs) {
      const ours = configs.map((bytes, i) => {
        const [alone] = programsOf(bytes) ?? [];
        if (alone === undefined) throw new Error('a device config without a program');
        return { ...alone, index: indexes[i]! };
      });
      return encodeDeviceConfig([...others, ...ours].sort((a, b) => a.index - b.index));
    },
  };
}

/** One program among those that run. */
export function besideOthers(
  own: OwnProgram,
  running: Uint8Array,
  inUse: (slot: number) => boolean,
): Beside | undefined {
  const placed = placePrograms([own], running, inUse);
  return (
    placed && {
      ...placed,
      slots: placed.slots[0]!,
      deviceConfig: (bytes) => placed.deviceConfig([bytes]),
    }
  );
}

const allKnown = (indexes: readonly (number | undefined)[]): indexes is readonly number[] =>
  indexes.every((i) => i !== undefined);

const slotsOf = (index: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => firstSlotOf(index) + i);

/** Undefined for what is no config of requests. */
function programsOf(bytes: Uint8Array) {
  let config: DeviceConfig;
  try {
    config = decodeDeviceConfig(bytes);
  } catch {
    return undefined;
  }
  return config.kind === 'requests' ? config.programs : undefined;
}
