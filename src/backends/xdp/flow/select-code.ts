import { addressBits, type Prefix, type Selector } from '../../../features/selector.ts';
import { PROTOCOL_NUMBERS } from '../../common/flow/accepts.ts';

/** C that is true for the packets `p` that a selector selects. */
export function selectorCode(s: Selector): string {
  const any = (tests: readonly string[] | undefined): string[] =>
    tests === undefined ? [] : [`(${tests.join(' || ')})`];
  const ends = ['source', 'destination'] as const;
  const all = [
    ...any(s.prefixes?.flatMap((prefix) => ends.map((end) => inPrefix(prefix, `p->${end}`)))),
    ...(s.ports === undefined ? [] : ['(p->ip_protocol == 6 || p->ip_protocol == 17)']),
    ...any(s.ports?.flatMap(([low, high]) => ends.map((end) => inRange(`p->port_${end}`, low, high)))),
    ...any(s.protocols?.flatMap((name) => PROTOCOL_NUMBERS[name].map((n) => `p->ip_protocol == ${n}`))),
    ...any(s.vlans?.map((id) => `p->vlan_id == ${id}`)),
    ...any(s.dscp?.map((dscp) => `p->ip_service >> 2 == ${dscp}`)),
  ];
  return all.join(' && ') || '1';
}

const inRange = (value: string, low: number, high: number): string =>
  low === high ? `${value} == ${low}` : `(${value} >= ${low} && ${value} <= ${high})`;

const WORD = 64;

function inPrefix({ version, address, bits }: Prefix, end: string): string {
  const tests = [`p->ip_version == ${version}`];
  const words = version === 4 ? [address] : [address >> BigInt(WORD), BigInt.asUintN(WORD, address)];
  const width = Math.min(WORD, addressBits(version));
  words.forEach((word, i) => {
    const matter = Math.min(width, Math.max(0, bits - i * WORD));
    if (matter > 0) tests.push(`(${end}[${i}] ^ 0x${word.toString(16)}ULL) >> ${width - matter} == 0`);
  });
  return `(${tests.join(' && ')})`;
}
