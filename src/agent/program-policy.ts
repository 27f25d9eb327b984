import { FLOW_CLASSES, flowCounter } from '../backends/common/flow/tables.ts';
import type { DeviceConfig, FlowConfig, RequestConfig } from '../backends/xdp/device-config.ts';
import { xdpLimits } from '../backends/xdp/limits.ts';
import { XDP_SLOTS } from '../backends/xdp/p4info.ts';
import type { MapPolicy, ObjectPolicy } from '../bpf/index.ts';
import { CLASS_BYTES, RATE_BYTES } from '../devices/flow-actions.ts';
import { WORDS } from '../devices/versions.ts';
import { verdicts } from '../wire/index.ts';

/** The one program of an object, by its kind. */
const PROGRAMS = { requests: 'intransit', flows: 'intransit_flow' } as const;

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

/** What compiled programs call: they read and write packets and maps, and send on; of the kernel they learn the time. */
const HELPERS = {
  mapLookupElem: 1,
  ktimeGetNs: 5,
  xdpAdjustHead: 44,
  redirectMap: 51,
  xdpAdjustTail: 65,
  spinLock: 93,
  spinUnlock: 94,
  ringbufOutput: 130,
  loop: 181,
  xdpLoadBytes: 189,
} as const;

const CALLED: Readonly<Record<DeviceConfig['kind'], readonly (keyof typeof HELPERS)[]>> = {
  requests: ['mapLookupElem', 'xdpAdjustHead', 'redirectMap', 'xdpAdjustTail', 'ringbufOutput', 'loop'],
  flows: [
    ...(['mapLookupElem', 'ktimeGetNs', 'redirectMap', 'spinLock', 'spinUnlock'] as const),
    ...(['ringbufOutput', 'loop', 'xdpLoadBytes'] as const),
  ],
};

const map = (
  type: number,
  keySize: number,
  valueSize: MapPolicy['valueSize'],
  maxEntries: MapPolicy['maxEntries'],
  flag: number = flags.none,
): MapPolicy => ({ type, keySize, valueSize, maxEntries, flags: [flag] });

const perCpu = { most: xdpLimits.perCpuValueBytes };

/** Maps of every program: ebpf/intransit_ways.h declares the first two, the layers what is optional. */
const COMMON: Readonly<Record<string, MapPolicy>> = {
  ports: map(types.hash, 4, WAY, PORTS),
  tx: map(types.deviceMap, 4, 4, PORTS),
  pages: { ...map(types.perCpuArray, 4, perCpu, { most: MOST_PAGES }), optional: true },
  '.rodata': {
    ...map(types.array, 4, { most: xdpLimits.mapValueBytes }, 1),
    flags: [flags.readOnly, flags.readOnly | flags.mmapable],
  },
};

/** Of programs of requests: ebpf/intransit_xdp.h. */
const REQUEST_MAPS: Readonly<Record<string, MapPolicy>> = {
  ...COMMON,
  models: map(types.array, 4, 8, WORDS, flags.mmapable),
  model_ids: map(types.hash, 4, 4, ZONES),
  zones: map(types.array, 4, 4, ZONES),
  steer: map(types.hash, 4, WAY, ENTRIES),
  ipv4_lpm: map(types.lpmTrie, LPM_KEY, WAY, ENTRIES, flags.noPrealloc),
  telling: map(types.array, 4, 4, 1),
  refused: map(types.ringBuffer, 0, 0, REFUSED_BYTES),
  verdicts: map(types.perCpuArray, 4, 8, verdicts.length),
  scratch: map(types.perCpuArray, 4, perCpu, 1),
};

/** Sizes of structs of ebpf/intransit_flow.h and intransit_flow_act.h. */
const [BUCKET_HEAD, LINE, MESSAGE, CLASS_COUNTS, TOLD_BYTES] = [64, 64, 64 + 2048, 32, 2 ** 20];

/** Of programs of flows. */
function flowMaps({
  manifest: { table, features },
}: Pick<FlowConfig, 'manifest'>): Record<string, MapPolicy> {
  const bucket = Math.ceil((BUCKET_HEAD + table.places * table.placeBytes) / LINE) * LINE;
  const testWords = 3 + Math.ceil(features.names.length / 8);
  return {
    ...COMMON,
    flows: map(types.array, 4, bucket, table.flows / table.places, flags.mmapable),
    work: map(types.perCpuArray, 4, perCpu, 1),
    flow_counts: map(types.perCpuArray, 4, 8 * flowCounter.size, 1),
    flow_model: map(types.array, 4, 8, 1, flags.mmapable),
    flow_test: map(types.array, 4, 8, testWords, flags.mmapable),
    classes: map(types.array, 4, CLASS_BYTES, FLOW_CLASSES),
    rates: map(types.array, 4, RATE_BYTES, FLOW_CLASSES),
    class_counts: map(types.perCpuArray, 4, CLASS_COUNTS, FLOW_CLASSES),
    message: map(types.perCpuArray, 4, MESSAGE, 1),
    telling: map(types.array, 4, 16, 1),
    told: map(types.ringBuffer, 0, 0, TOLD_BYTES),
  };
}

/** What the object of a device config may hold: the config is data, and comes from whoever is the primary. */
export function programPolicy(
  config: Pick<RequestConfig, 'kind' | 'manifest'> | Pick<FlowConfig, 'kind' | 'manifest'>,
): ObjectPolicy {
  const { weights } = config.manifest;
  const own: Record<string, MapPolicy> =
    weights.mode === 'static' || weights.arrays.length === 0
      ? {}
      : { weights: map(types.array, 4, weights.bytes, XDP_SLOTS) };
  return {
    program: PROGRAMS[config.kind],
    helpers: CALLED[config.kind].map((name) => HELPERS[name]),
    maps: { ...(config.kind === 'requests' ? REQUEST_MAPS : flowMaps(config)), ...own },
    mostBytes: MOST_OBJECT_BYTES,
  };
}
