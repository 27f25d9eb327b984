import { FLOW_CLASSES, FLOW_SLOTS, flowCounter } from '../backends/common/flow/tables.ts';
import {
  type FlowConfig,
  type FlowModelConfig,
  hasFlows,
  mostFeaturesOf,
  type ProgramConfig,
} from '../backends/xdp/device-config.ts';
import { xdpLimits } from '../backends/xdp/limits.ts';
import type { MapPolicy, ObjectPolicy } from '../bpf/index.ts';
import { deviceMaps, type MapModel, mapFlags, mapSizes, mapTypes } from '../dataplane/abi.ts';
import { CLASS_BYTES, RATE_BYTES } from '../runtime/xdp/flow-actions.ts';
import { ANSWERED_BYTES, TELLING_BYTES } from '../runtime/xdp/flow-asking.ts';

/** The programs of an object: one that computes, and the dispatcher that stands before it and others. */
export const PROGRAM = 'intransit';
/** Name of the program that all packets of requests enter by. */
export const DISPATCHER = 'intransit_dispatch';
/** The program of an object of flows. */
export const FLOW_PROGRAM = 'intransit_flow';
/** And beside it: what writes a larger model's verdict into a flow. */
export const FLOW_ANSWER = 'intransit_flow_answer';
/** And where flows are classified at their ends. */
export const FLOW_SWEEP = 'intransit_flow_sweep';

/** What the kernel calls XDP programs. */
export const XDP_PROGRAM_TYPE = 6;

/** `BPF_F_RDONLY_PROG`. */
const READ_ONLY = 0x80;
const MOST_PAGES = 16;
const MOST_OBJECT_BYTES = 32 * 2 ** 20;

/** What compiled programs call: they read and write packets and maps, jump to each other, and send on; of the kernel they learn the time. */
const HELPERS = {
  mapLookupElem: 1,
  ktimeGetNs: 5,
  tailCall: 12,
  xdpAdjustHead: 44,
  redirectMap: 51,
  xdpAdjustTail: 65,
  spinLock: 93,
  spinUnlock: 94,
  ringbufOutput: 130,
  loop: 181,
  xdpLoadBytes: 189,
} as const;

type Helper = keyof typeof HELPERS;
const numbers = (...names: readonly Helper[]): number[] => names.map((name) => HELPERS[name]);
const BOTH = ['mapLookupElem', 'ktimeGetNs', 'redirectMap', 'ringbufOutput', 'loop'] as const;

const map = (
  type: keyof typeof mapTypes,
  valueSize: MapPolicy['valueSize'],
  maxEntries: MapPolicy['maxEntries'],
  flag = 0,
): MapPolicy => ({ type: mapTypes[type], keySize: 4, valueSize, maxEntries, flags: [flag] });

function declared(model: MapModel): MapPolicy {
  const { key, value } = mapSizes(model);
  return {
    type: mapTypes[model.type],
    keySize: key,
    valueSize: value,
    maxEntries: model.entries,
    flags: [model.flag === undefined ? 0 : mapFlags[model.flag]],
  };
}

const perCpu = { most: xdpLimits.perCpuValueBytes };

/** What comes with the layers. */
const LAYERS: Readonly<Record<string, MapPolicy>> = {
  pages: { ...map('PERCPU_ARRAY', perCpu, { most: MOST_PAGES }), optional: true },
  '.rodata': {
    ...map('ARRAY', { most: xdpLimits.mapValueBytes }, 1),
    flags: [READ_ONLY, READ_ONLY | mapFlags.BPF_F_MMAPABLE],
  },
};

/** Of programs of requests. */
const REQUEST_MAPS: Readonly<Record<string, MapPolicy>> = {
  ...LAYERS,
  ...Object.fromEntries(deviceMaps.map((m) => [m.name, declared(m)])),
  scratch: map('PERCPU_ARRAY', perCpu, 1),
};

const weightsMap = (
  { weights }: ProgramConfig['manifest'] | FlowModelConfig['manifest'],
  slots: number,
): Record<string, MapPolicy> =>
  weights.mode === 'static' || weights.arrays.length === 0
    ? {}
    : { weights: map('ARRAY', weights.bytes, slots) };

/** What the object of a program may hold: the config is data, and comes from whoever is the primary. */
export const programPolicy = ({
  manifest,
  slots,
}: Pick<ProgramConfig, 'manifest' | 'slots'>): ObjectPolicy => ({
  programs: [PROGRAM, DISPATCHER],
  helpers: numbers(...BOTH, 'tailCall', 'xdpAdjustHead', 'xdpAdjustTail'),
  maps: { ...REQUEST_MAPS, ...weightsMap(manifest, slots) },
  mostBytes: MOST_OBJECT_BYTES,
});

/** Sizes of structs of ebpf/intransit_flow.h, intransit_flow_act.h and intransit_ways.h. */
const [BUCKET_HEAD, LINE, MESSAGE, CLASS_COUNTS, TOLD_BYTES, WAY] = [64, 64, 64 + 2048, 32, 2 ** 20, 16];
const PORTS = 512;
/** Whither packets go on: the next model, and that of packets. */
const NEXT_PROGRAMS = 2;

/** The same of a program of flows. @param model which of several */
export function flowPolicy(config: Omit<FlowConfig, 'kind'>, model = 0): ObjectPolicy {
  const { isSet, models } = config;
  const { manifest } = models[model]!;
  const { table, features } = manifest;
  const isOfFlows = hasFlows(config, model);
  const bucket = Math.ceil((BUCKET_HEAD + table.places * table.placeBytes) / LINE) * LINE;
  const featureWords = Math.ceil(mostFeaturesOf(config) / 8);
  const testWords = 5 + 2 * featureWords;
  const mapped = mapFlags.BPF_F_MMAPABLE;
  return {
    programs: [FLOW_PROGRAM, ...(isOfFlows ? [FLOW_ANSWER] : []), ...(features.atEnd ? [FLOW_SWEEP] : [])],
    helpers: numbers(
      ...BOTH,
      'spinLock',
      'spinUnlock',
      'xdpLoadBytes',
      ...(isSet ? (['tailCall'] as const) : []),
    ),
    maps: {
      ...LAYERS,
      ports: map('HASH', WAY, PORTS),
      tx: map('DEVMAP', 4, PORTS),
      flows: map('ARRAY', bucket, table.flows / table.places, mapped),
      work: map('PERCPU_ARRAY', perCpu, 1),
      flow_counts: map('PERCPU_ARRAY', 8 * flowCounter.size, 1),
      flow_model: map('ARRAY', 8, 1, mapped),
      ...(features.atEnd && { flow_range: map('ARRAY', 16, 1) }),
      flow_test: map('ARRAY', 8, testWords, mapped),
      classes: map('ARRAY', CLASS_BYTES, FLOW_CLASSES),
      rates: map('ARRAY', RATE_BYTES, FLOW_CLASSES),
      class_counts: map('PERCPU_ARRAY', CLASS_COUNTS, FLOW_CLASSES),
      message: map('PERCPU_ARRAY', MESSAGE, 1),
      telling: map('ARRAY', TELLING_BYTES, 1),
      asking: map('ARRAY', RATE_BYTES, 1),
      ...(isOfFlows && { flow_answer: map('ARRAY', ANSWERED_BYTES, 1) }),
      ...(isSet && { next: map('PROG_ARRAY', 4, NEXT_PROGRAMS) }),
      told: { ...map('RINGBUF', 0, TOLD_BYTES), keySize: 0 },
      ...weightsMap(manifest, FLOW_SLOTS),
    },
    mostBytes: MOST_OBJECT_BYTES,
  };
}
