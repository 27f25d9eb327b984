import { type Diagnostic, diagnostic } from '../../../diagnostics/index.ts';
import type { FeatureDefinition } from '../../../features/definition.ts';
import type { KeyField } from '../../../features/definition-schema.ts';
import type { Front } from '../blocks.ts';
import { knownFields } from './fields.ts';
import { layOutFront, type Placed, tooLarge } from './front.ts';
import { type FlowRegister, readsOf, registersOf } from './registers.ts';
import {
  type Duration,
  type Extremum,
  type FunctionTable,
  type Operand,
  Refusal,
  Sources,
} from './sources.ts';

/** What a program does of a packet's flow before its network: found, brought up to date, made to features. */
export interface FlowFront {
  readonly definition: FeatureDefinition;
  readonly registers: readonly FlowRegister[];
  readonly tables: readonly FunctionTable[];
  readonly extrema: readonly Extremum[];
  readonly durations: readonly Duration[];
  /** Of each feature a number that it always is, or the field that it is in: of the packet, of its flow, or one that a table sets. */
  readonly features: readonly Operand[];
  /** Words of the key, two a register. */
  readonly words: readonly KeyWord[];
  readonly slotBits: number;
  /** Of the clock of places, units of 65,536 ns. */
  readonly keep: number;
  readonly placed: readonly Placed[];
  /** What the layout of the network must know. */
  readonly front: Front;
}

/** A word of 32 bits of the key; both ports are one. */
export type KeyWord = 'source' | 'destination' | 'ports' | 'protocol';

/** Nanoseconds of a step of the clock that places are kept by: the upper 32 bits of 48. */
const PLACE_CLOCK_NS = 2 ** 16;

/** Bytes that egress parses: Ethernet, IPv4, and of what crosses from ingress all but sums. */
const PARSED_BYTES = 14 + 20 + 4 + 2;

/** Treatment and counters of the class; then the checksum of a header that was marked waits for its condition. */
const BEHIND = [
  { name: 'treatments', use: { tables: 3, sram: 4, busBytes: 2, instructions: 3, hashBits: 24 } },
  { name: 'checksum', use: { tables: 1, instructions: 1 } },
];

const WORD_OF: Partial<Record<KeyField, KeyWord>> = {
  'ip.source': 'source',
  'ip.destination': 'destination',
  'port.source': 'ports',
  'port.destination': 'ports',
  'ip.protocol': 'protocol',
};

/** Decides about flows and features, or says all that forbids them. */
export function planFront(definition: FeatureDefinition): {
  readonly flows?: FlowFront;
  readonly diagnostics: readonly Diagnostic[];
} {
  const told: Diagnostic[] = [];
  const refuse = (what: string, why: string) =>
    told.push(diagnostic('flow-target', { target: 'tna', what, why }, { file: definition.file }));
  for (const { what, why } of definitionRefusals(definition)) refuse(what, why);
  const made = partsOfFront(definition, ({ what, why }) => refuse(what, why));
  if (definition.clockNs !== 1 && made.readsClock)
    refuse(
      'clock: us',
      'the chip counts nanoseconds, and cannot divide them by a thousand before they are subtracted: use clock: ns',
    );
  if (tooLarge(definition.table.flows, made.registers))
    refuse(
      `table.flows: ${definition.table.flows}`,
      'a stage has 48 blocks for a register, and keys are pairs of words: use flows: 65536 or fewer',
    );
  if (told.length > 0) return { diagnostics: told };
  const words = wordsOf(definition);
  const { units, placed } = layOutFront(definition, Math.ceil(words.length / 2), made);
  const front: Front = {
    units,
    parsedBytes: PARSED_BYTES,
    input(i) {
      const feature = made.features[i]!;
      return feature.kind === 'field' ? feature.text : `meta.f${i}`;
    },
    inputStage(i) {
      const { after } = made.features[i]!;
      return 1 + (placed.find((p) => p.name === after)?.stage ?? 0);
    },
    behind: BEHIND,
    answer: { class: 'meta.class' },
  };
  const { flows, keep } = definition.table;
  const keepUnits = Math.ceil((keep * definition.clockNs) / PLACE_CLOCK_NS);
  return {
    flows: { definition, ...made, words, slotBits: Math.log2(flows), keep: keepUnits, placed, front },
    diagnostics: [],
  };
}

/** @param tell hears what cannot be done, each once */
function partsOfFront(definition: FeatureDefinition, tell: (refusal: Refusal) => void) {
  const known = new Set<string>();
  const attempt = <T>(make: () => T): T | undefined => {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (!known.has(error.message)) tell(error);
      known.add(error.message);
      return undefined;
    }
  };
  const sources = new Sources(definition);
  const reads = attempt(() => readsOf(definition)) ?? new Map();
  const { registers, find } = registersOf(definition, reads, sources);
  for (const scalar of reads.keys()) attempt(() => find(scalar));
  // One that is refused is missing: no program is made then.
  const features = definition.features.flatMap(
    ({ name, value }, i) =>
      attempt(() => sources.feature(i, name, knownFields(value, definition), find)) ?? [],
  );
  const { tables, extrema, durations, readsClock } = sources;
  return { registers, features, tables, extrema, durations, readsClock };
}

/** Each word of a key once, in the order of its fields. */
const wordsOf = ({ key }: FeatureDefinition): KeyWord[] => [
  ...new Set(key.fields.flatMap((f) => WORD_OF[f] ?? [])),
];

/** Slots that a hash of 16 bits finds, and a register addresses. */
const LEAST_FLOWS = 1024;

function definitionRefusals(d: FeatureDefinition): { readonly what: string; readonly why: string }[] {
  const refusals: { what: string; why: string }[] = [];
  const add = (what: string, why: string) => refusals.push({ what, why });
  if (d.ipVersions.includes(6))
    add('accept: { ip: [6] }', 'a key of 296 bits takes five registers more: use ip: [4]');
  if (d.protocols.includes('icmp')) add('accept: { protocols: [icmp] }', 'only TCP and UDP are parsed');
  if (d.occasion.kind !== 'every-packet')
    add(
      `classify: ${d.occasion.kind === 'packets' ? '{ packets }' : d.occasion.kind}`,
      'no verdict is kept from packet to packet: use classify: every-packet',
    );
  if (Number.isFinite(d.idleTimeout) || Number.isFinite(d.activeTimeout))
    add(
      'timeouts',
      'a stateful ALU compares 32 bits, and times have 48: leave them out; table.keep says when a place is free',
    );
  const foreign = d.key.fields.filter((f) => WORD_OF[f] === undefined);
  if (foreign.length > 0)
    add(`key of ${foreign.join(', ')}`, 'keys are of addresses, ports and the protocol: leave it out');
  if (d.table.flows < LEAST_FLOWS)
    add(`table.flows: ${d.table.flows}`, `a block of memory has more places: use flows: ${LEAST_FLOWS}`);
  return refusals;
}
