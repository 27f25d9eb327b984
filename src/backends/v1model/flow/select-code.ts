import { addressBits, type Prefix, type Selector } from '../../../features/selector.ts';
import { PROTOCOL_NUMBERS } from '../../common/flow/accepts.ts';
import { FLOW } from './p4-printer.ts';

/** P4 that is true for the packets that a selector selects, from the fields that were taken out of them. */
export function selectorText(s: Selector): string {
  const any = (tests: readonly string[] | undefined): string[] =>
    tests === undefined ? [] : [joined(tests, '||')];
  const ends = ['source', 'destination'] as const;
  const is = (field: string, value: number) => `${FLOW}.${field} == ${value}`;
  const all = [
    ...any(s.prefixes?.flatMap((prefix) => ends.map((end) => inPrefix(prefix, end)))),
    ...(s.ports === undefined ? [] : any([is('ip_protocol', 6), is('ip_protocol', 17)])),
    ...any(s.ports?.flatMap(([low, high]) => ends.map((end) => inRange(`${FLOW}.port_${end}`, low, high)))),
    ...any(s.protocols?.flatMap((name) => PROTOCOL_NUMBERS[name].map((n) => is('ip_protocol', n)))),
    ...any(s.vlans?.map((id) => is('vlan_id', id))),
    ...any(s.dscp?.map((dscp) => `(${FLOW}.ip_service >> 2) == ${dscp}`)),
  ];
  return all.length === 0 ? 'true' : joined(all, '&&');
}

const inRange = (value: string, low: number, high: number): string =>
  low === high ? `${value} == ${low}` : `(${value} >= ${low} && ${value} <= ${high})`;

function inPrefix({ version, address, bits }: Prefix, end: string): string {
  const isVersion = `${FLOW}.ip_version == ${version}`;
  if (bits === 0) return isVersion;
  const width = addressBits(version);
  const prefix = address >> BigInt(width - bits);
  return `(${isVersion} && ${FLOW}.${end}[${width - 1}:${width - bits}] == ${bits}w${prefix})`;
}

/** A balanced tree: BMv2's reader refuses deep ones. */
function joined(terms: readonly string[], operator: '||' | '&&'): string {
  if (terms.length === 1) return terms[0]!;
  const half = Math.ceil(terms.length / 2);
  return `(${joined(terms.slice(0, half), operator)} ${operator} ${joined(terms.slice(half), operator)})`;
}
