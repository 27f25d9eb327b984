import type { DeviceConfig } from '../backends/xdp/device-config.ts';
import { xdpLimits } from '../backends/xdp/limits.ts';
import { XDP_SLOTS } from '../backends/xdp/p4info.ts';
import type { MapPolicy, ObjectPolicy } from '../bpf/index.ts';
import { WORDS } from '../devices/versions.ts';
import { verdicts } from '../wire/index.ts';

/** The one program of an object. */
export const PROGRAM = 'intransit';

/** What the kernel calls XDP programs. */
export const XDP_PROGRAM_TYPE = 6;

/** `enum bpf_map_type`. */
const types = { hash: 1, array: 2, perCpuArray: 6, lpmTrie: 11, deviceMap: 14, ringBuffer: 27 } as const;
/** `BPF_F_...`. */
const flags = { none: 0, noPrealloc: 1, readOnly: 0x80, mmapable: 0x400 } as const;

const PORTS = 512;
const ENTRIES = 1024;
const ZONES = 256;
/** Sizes of structs of ebpf/intransit_xdp.h: a way, the key of `ipv4_lpm`. */
const [WAY, LPM_KEY] = [16, 8];
const REFUSED_BYTES = 65_536;
const MOST_PAGES = 16;
const MOST_OBJECT_BYTES = 32 * 2 ** 20;

/** What compiled programs call: they read and write packets and maps, and send on; nothing tells them of the kernel. */
const HELPERS = {
  mapLookupElem: 1,
  xdpAdjustHead: 44,
  redirectMap: 51,
  xdpAdjustTail: 65,
  ringbufOutput: 130,
  loop: 181,
} as const;

const map = (
  type: number,
  keySize: number,
  valueSize: MapPolicy['valueSize'],
  maxEntries: MapPolicy['maxEntries'],
  flag: number = flags.none,
): MapPolicy => ({ type, keySize, valueSize, maxEntries, flags: [flag] });

const perCpu = { most: xdpLimits.perCpuValueBytes };

/** Maps of every program: ebpf/intransit_xdp.h declares them, and `weights` and `pages` come with the layers. */
const MAPS: Readonly<Record<string, MapPolicy>> = {
  models: map(types.array, 4, 8, WORDS, flags.mmapable),
  model_ids: map(types.hash, 4, 4, ZONES),
  zones: map(types.array, 4, 4, ZONES),
  ports: map(types.hash, 4, WAY, PORTS),
  steer: map(types.hash, 4, WAY, ENTRIES),
  ipv4_lpm: map(types.lpmTrie, LPM_KEY, WAY, ENTRIES, flags.noPrealloc),
  tx: map(types.deviceMap, 4, 4, PORTS),
  telling: map(types.array, 4, 4, 1),
  refused: map(types.ringBuffer, 0, 0, REFUSED_BYTES),
  verdicts: map(types.perCpuArray, 4, 8, verdicts.length),
  scratch: map(types.perCpuArray, 4, perCpu, 1),
  pages: { ...map(types.perCpuArray, 4, perCpu, { most: MOST_PAGES }), optional: true },
  '.rodata': {
    ...map(types.array, 4, { most: xdpLimits.mapValueBytes }, 1),
    flags: [flags.readOnly, flags.readOnly | flags.mmapable],
  },
};

/** What the object of a device config may hold: the config is data, and comes from whoever is the primary. */
export function programPolicy({ manifest: { weights } }: Pick<DeviceConfig, 'manifest'>): ObjectPolicy {
  const own: Record<string, MapPolicy> =
    weights.mode === 'static' || weights.arrays.length === 0
      ? {}
      : { weights: map(types.array, 4, weights.bytes, XDP_SLOTS) };
  return {
    program: PROGRAM,
    helpers: Object.values(HELPERS),
    maps: { ...MAPS, ...own },
    mostBytes: MOST_OBJECT_BYTES,
  };
}
