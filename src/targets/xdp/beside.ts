import {
  type DeviceConfig,
  decodeDeviceConfig,
  encodeDeviceConfig,
} from '../../backends/xdp/device-config.ts';
import { programLayout, xdpP4InfoOf } from '../../backends/xdp/p4info.ts';
import type { XdpPlan } from '../../backends/xdp/plan.ts';
import { weightSlots } from '../../backends/xdp/weights.ts';
import { PROGRAM_SLOTS, PROGRAMS } from '../../dataplane/abi.ts';
import type { Beside } from '../target.ts';

/**
 * A program behind the dispatcher of a host that runs others: it has the place that it has there, or the first that is free. Others
 * stay as they were pushed, but for those that hold nothing.
 * @param source hash of the own source
 */
export function besideOthers(
  plan: XdpPlan,
  source: string,
  running: Uint8Array,
  inUse: (slot: number) => boolean,
): Beside | undefined {
  const there = programsOf(running);
  if (there === undefined || there.some((p) => p.manifest.port !== plan.options.port)) return undefined;
  const own = there.find((p) => p.source === source);
  const others = there.filter((p) => p !== own && slotsOf(p.index, PROGRAM_SLOTS).some(inUse));
  const taken = new Set(others.map((p) => p.index));
  const index = own?.index ?? slotsOf(0, PROGRAMS).find((i) => !taken.has(i));
  if (index === undefined) return undefined;
  const layouts = [...others, programLayout(plan, index)].sort((a, b) => a.index - b.index);
  return {
    runs: own !== undefined,
    slots: slotsOf(index, weightSlots(plan)),
    p4info: () => xdpP4InfoOf(layouts),
    source: () => [...others, { index, source }].map((p) => `${p.index} ${p.source}`).sort(),
    deviceConfig(bytes) {
      const [alone] = programsOf(bytes) ?? [];
      if (alone === undefined) throw new Error('a device config without a program');
      return encodeDeviceConfig([...others, { ...alone, index }].sort((a, b) => a.index - b.index));
    },
  };
}

const slotsOf = (index: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => PROGRAM_SLOTS * index + i);

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
