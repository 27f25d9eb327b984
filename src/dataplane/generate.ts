import {
  BUCKET_BITS,
  BUCKET_WORDS,
  bucketFactors,
  DEVICE_SLOTS,
  deviceMaps,
  type MapModel,
  nextHopKinds,
  PROGRAM_SLOTS,
  PROGRAMS,
  SHARD_BITS,
  SHARD_FACTOR,
  structs,
  wordFields,
  wordStates,
} from './abi.ts';
import { structC } from './struct.ts';

const upper = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase();

const define = (name: string, value: string | number): string => `#define INTRANSIT_${name} ${value}`;

const enumeration = (
  description: string,
  name: string,
  prefix: string,
  values: Readonly<Record<string, number>>,
): string[] => [
  `/* ${description} */`,
  `enum intransit_${name} {`,
  ...Object.entries(values).map(([key, value]) => `\tINTRANSIT_${prefix}${upper(key)} = ${value},`),
  '};',
];

/** `ebpf/intransit_abi.h` */
export function abiC(): string {
  return [
    '/* SPDX-License-Identifier: Apache-2.0 */',
    '/* Made from src/dataplane/abi.ts by `npm run generate`; do not edit. */',
    '#ifndef INTRANSIT_ABI_H',
    '#define INTRANSIT_ABI_H',
    '',
    '#include <linux/bpf.h>',
    '#include <linux/if_ether.h>',
    '',
    '#include <bpf/bpf_helpers.h>',
    '',
    define('PROGRAMS', PROGRAMS),
    define('PROGRAM_SLOTS', PROGRAM_SLOTS),
    define('DEVICE_SLOTS', DEVICE_SLOTS),
    define('BUCKET_WORDS', BUCKET_WORDS),
    define('BUCKET_BITS', BUCKET_BITS),
    ...bucketFactors.map((factor, i) => define(`BUCKET_FACTOR_${i}`, `0x${factor.toString(16)}u`)),
    define('SHARD_BITS', SHARD_BITS),
    define('SHARD_FACTOR', `0x${SHARD_FACTOR.toString(16)}ULL`),
    '',
    '/* Where the fields of a word of `models` stand in it. */',
    ...wordFields.flatMap(({ name, at, bits }) => [
      define(`WORD_${upper(name)}_AT`, at),
      define(`WORD_${upper(name)}_MASK`, `0x${((1n << BigInt(bits)) - 1n).toString(16)}ULL`),
    ]),
    '#define INTRANSIT_WORD(word, field) ((word) >> INTRANSIT_WORD_##field##_AT & INTRANSIT_WORD_##field##_MASK)',
    '',
    ...enumeration('What a word says of its version; 0 is none.', 'state', '', wordStates),
    '',
    ...enumeration('What becomes of a packet that is forwarded.', 'next_hop_kind', 'HOP_', nextHopKinds),
    '',
    ...structs.flatMap((s) => [...structC(s), '']),
    'struct intransit_bucket {',
    '\t__u64 words[INTRANSIT_BUCKET_WORDS];',
    '};',
    '',
    ...deviceMaps.flatMap((map) => [...mapC(map), '']),
    '#endif',
    '',
  ].join('\n');
}

function mapC({ name, description, type, flag, entries, key, value }: MapModel): string[] {
  const typeC = (t: NonNullable<MapModel['value']>): string =>
    typeof t === 'string'
      ? t === 'bucket'
        ? 'struct intransit_bucket'
        : `__${t}`
      : `struct intransit_${t.name}`;
  return [
    `/* ${description} */`,
    'struct {',
    `\t__uint(type, BPF_MAP_TYPE_${type});`,
    ...(flag === undefined ? [] : [`\t__uint(map_flags, ${flag});`]),
    `\t__uint(max_entries, ${entries});`,
    ...(key === undefined ? [] : [`\t__type(key, ${typeC(key)});`]),
    ...(value === undefined ? [] : [`\t__type(value, ${typeC(value)});`]),
    `} ${name} SEC(".maps");`,
  ];
}
