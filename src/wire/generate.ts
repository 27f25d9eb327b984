import {
  DEFAULT_PORT,
  elementTypes,
  flagComing,
  flagTurnRound,
  flagUnsure,
  flagWorker,
  HEADER_BYTES,
  HEADER_VERSION,
  headerFields,
  MAGIC,
  MOST_AMPLIFICATION,
  packetKinds,
  packetOutcomes,
  TOKEN_BYTES,
} from './header.ts';

const GENERATED = 'Made from src/wire/header.ts by `npm run generate`; do not edit.';

const snake = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
const upper = (name: string): string => snake(name).toUpperCase();
const hex = (value: number): string => `0x${value.toString(16)}`;

/** Constants that both languages share, as name and literal. */
const constants: readonly (readonly [name: string, bits: 8 | 16, literal: string])[] = [
  ['MAGIC', 16, hex(MAGIC)],
  ['HEADER_VERSION', 8, `${HEADER_VERSION}`],
  ['DEFAULT_PORT', 16, `${DEFAULT_PORT}`],
  ...Object.entries(packetKinds).map(([name, v]) => [`KIND_${upper(name)}`, 8, `${v}`] as const),
  ...Object.entries(elementTypes).map(([name, v]) => [`ELEMENT_${upper(name)}`, 8, `${v}`] as const),
  ['FLAG_TURN_ROUND', 16, hex(flagTurnRound)],
  ['FLAG_UNSURE', 16, hex(flagUnsure)],
  ['FLAG_WORKER', 16, hex(flagWorker)],
];

/** `ebpf/intransit_wire.h`: the struct and the constants for C. */
export function wireHeaderC(): string {
  const fields = headerFields.map((f) => {
    const type = f.bits === 8 ? '__u8' : `__be${f.bits}`;
    return `\t${type} ${snake(f.name)}; /* ${f.description} */`;
  });
  return [
    '/* SPDX-License-Identifier: Apache-2.0 */',
    `/* ${GENERATED} */`,
    '#ifndef INTRANSIT_WIRE_H',
    '#define INTRANSIT_WIRE_H',
    '',
    '#include <linux/types.h>',
    '',
    ...constants.map(([name, , literal]) => `#define INTRANSIT_${name} ${literal}`),
    `#define INTRANSIT_HEADER_BYTES ${HEADER_BYTES}`,
    '',
    '/* Counter of each outcome. */',
    'enum intransit_outcome {',
    ...packetOutcomes.map((v, i) => `\tINTRANSIT_${upper(v.name)} = ${i}, /* ${v.description} */`),
    `\tINTRANSIT_OUTCOMES = ${packetOutcomes.length},`,
    '};',
    '',
    'struct intransit_header {',
    ...fields,
    '} __attribute__((packed));',
    '',
    '#endif',
    '',
  ].join('\n');
}

/** `p4/intransit_wire.p4`: the header type and the constants for P4_16. */
export function wireHeaderP4(): string {
  return [
    '// SPDX-License-Identifier: Apache-2.0',
    `// ${GENERATED}`,
    '#ifndef INTRANSIT_WIRE_P4',
    '#define INTRANSIT_WIRE_P4',
    '',
    ...constants.map(([name, bits, literal]) => `const bit<${bits}> INTRANSIT_${name} = ${literal};`),
    '',
    '// Counter of each outcome.',
    ...packetOutcomes.map((v, i) => `const bit<32> INTRANSIT_${upper(v.name)} = ${i}; // ${v.description}`),
    `const bit<32> INTRANSIT_OUTCOMES = ${packetOutcomes.length};`,
    '',
    'header intransit_header_t {',
    ...headerFields.map((f) => `    bit<${f.bits}> ${snake(f.name)}; // ${f.description}`),
    '}',
    '',
    '#endif',
    '',
  ].join('\n');
}

/** `docs/wire.md`: the same for people. */
// Long: the text of a page, in its order.
export function wireHeaderDocs(): string {
  let at = 0;
  const rows = headerFields.map((f) => {
    const row = `| ${at} | ${f.bits / 8} | \`${f.name}\` | ${f.description} |`;
    at += f.bits / 8;
    return row;
  });
  return [
    `<!-- ${GENERATED} -->`,
    '# The inference header',
    '',
    `UDP payload, by default to port ${DEFAULT_PORT}. All fields are big-endian. The activations follow behind byte`,
    `${HEADER_BYTES}, one byte an element (of 16-bit types two, the low one first), row-major.`,
    '',
    '| byte | size | field | meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
    `Kinds: ${Object.entries(packetKinds)
      .map(([k, v]) => `${v} ${k}`)
      .join(', ')}. ` +
      `Element types: ${Object.entries(elementTypes)
        .map(([k, v]) => `${v} ${k}`)
        .join(', ')}. ` +
      `Flags: ${hex(flagTurnRound)} turn round; ${hex(flagUnsure)} unsure, see [early exit](early-exit.md); ` +
      `${hex(flagWorker)} answered by a worker, ${hex(flagComing)} in an error: its version is being loaded, so ask again, ` +
      'see [split execution](split.md).',
    '',
    '## Challenge and proof',
    '',
    `Whoever computes an answer does not know whether the address of a request is the sender's own. A worker sends at most`,
    `${MOST_AMPLIFICATION} times the bytes of the request (UDP payloads) to an address that has not shown that it listens. Where the answer`,
    'would be longer, or where too much of such addresses waits already, it computes nothing and sends a challenge instead:',
    `the header of the request with kind ${packetKinds.challenge}, and a token of ${TOKEN_BYTES} bytes as its activations. The sender sends the token`,
    `back as kind ${packetKinds.proof}, from the address and port of the request, and then the request again. Nothing is sent in return for a proof.`,
    '',
    'A token is a MAC over address, port and a period of 30 s, under a key of that period: the worker remembers nothing of',
    'those that it has challenged. A token is good in its period and the next; an address that has proved itself is not asked',
    'again for 300 s. Devices on the path pass both kinds on, as they do all that is no request.',
    '',
    '## What becomes of a packet',
    '',
    'A device computes a packet or passes it on untouched; either way it counts it, once.',
    '',
    '| counter | name | meaning |',
    '|---|---|---|',
    ...packetOutcomes.map((v, i) => `| ${i} | \`${v.name}\` | ${v.description} |`),
    '',
    '## UDP checksums',
    '',
    'A device computes a request only if its UDP checksum is',
    '',
    '- **right**: with pseudo-header, UDP header and payload it comes to 0xffff, as a kernel would see it (RFC 768);',
    '- **absent**: 0. The sender left it out, and so does the answer;',
    '- **partial**: the folded sum of the pseudo-header, neither more nor less. Linux leaves that in packets whose sum an interface',
    '  is to finish (`CHECKSUM_PARTIAL`), and on a veth none ever does. The answer has a whole sum; a request that',
    '  passes on, as unsure too, keeps what it has.',
    '',
    'Any other is `bad_checksum`, once nothing else is wrong with the request; a right sum that could be a partial one is a right',
    'one. An answer that leaves a device has a new sum. Requests are UDP over IPv4: IPv6, where 0 would be wrong, is `foreign`.',
    '',
  ].join('\n');
}
