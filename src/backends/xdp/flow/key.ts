import type { FeatureDefinition } from '../../../features/definition.ts';
import type { KeyField } from '../../../features/definition-schema.ts';

/** A part of a key: a C value of so many bits. */
interface Part {
  readonly field: KeyField | 'ip.version';
  readonly value: string;
  readonly bits: number;
}

/** Where a part of a key lies; an IPv6 address has two, the first is the higher. */
export interface KeyPlace {
  readonly field: KeyField | 'ip.version';
  readonly word: number;
  readonly shift: number;
  readonly bits: number;
}

const WORD = 64;

/** How a flow's key is made. */
export interface KeyCode {
  /** Statements that declare `swapped`, and `key0` and on. */
  readonly lines: readonly string[];
  /** Words of 64 bits. */
  readonly words: number;
  /** Of both ways the lower end stands as source. */
  readonly places: readonly KeyPlace[];
}

/** The key of packet `p` in as few words as hold it, the lower end first where both ways are one flow. */
export function keyCode(definition: FeatureDefinition): KeyCode {
  const { fields, bothWays } = definition.key;
  const hasIpv6 = definition.ipVersions.includes(6);
  const lines = [
    `const __u64 swapped = ${bothWays ? `intransit_flow_is_higher(p, ${hasIpv6 ? 1 : 0})` : '0'};`,
  ];
  const end = (field: KeyField, own: string, other: string): string => {
    if (!bothWays) return own;
    const name = `end_${field.replace('.', '_')}${own.includes('[1]') ? '_1' : ''}`;
    lines.push(`const __u64 ${name} = intransit_flow_choose(swapped, ${other}, ${own});`);
    return name;
  };
  const parts = fields.flatMap((field): Part[] => {
    switch (field) {
      case 'ip.source':
      case 'ip.destination': {
        const [own, other] =
          field === 'ip.source' ? ['p->source', 'p->destination'] : ['p->destination', 'p->source'];
        const word = (i: number, bits: number) => ({
          field,
          value: end(field, `${own}[${i}]`, `${other}[${i}]`),
          bits,
        });
        return hasIpv6 ? [word(0, WORD), word(1, WORD)] : [word(0, 32)];
      }
      case 'port.source':
        return [{ field, value: end(field, 'p->port_source', 'p->port_destination'), bits: 16 }];
      case 'port.destination':
        return [{ field, value: end(field, 'p->port_destination', 'p->port_source'), bits: 16 }];
      case 'ip.protocol':
        return [{ field, value: 'p->ip_protocol', bits: 8 }];
      case 'ip.dscp':
        return [{ field, value: '(p->ip_service >> 2)', bits: 6 }];
      case 'vlan.id':
        return [{ field, value: 'p->vlan_id', bits: 12 }];
      default:
        return field satisfies never;
    }
  });
  const all =
    definition.ipVersions.length > 1
      ? [...parts, { field: 'ip.version' as const, value: '(p->ip_version == 6)', bits: 1 }]
      : parts;
  const { words, places } = pack(all);
  lines.push(...words.map((text, i) => `const __u64 key${i} = ${text};`));
  return { lines, words: words.length, places };
}

/** Statements that give a record `r` the ends of the flow `s` of a place: what its key has; `swapped` says who is the client. */
export function endsCode(definition: FeatureDefinition, key: KeyCode): readonly string[] {
  const part = ({ word, shift, bits }: KeyPlace): string =>
    bits === WORD ? `s->key[${word}]` : `(s->key[${word}] >> ${shift} & ${2 ** bits - 1}ULL)`;
  const of = (field: KeyPlace['field']) => key.places.filter((p) => p.field === field).map(part);
  const end = (client: 'source' | 'destination', server: 'source' | 'destination', to: string) => [
    ...of(`ip.${client}`).map((own, i) => {
      const other = of(`ip.${server}`)[i] ?? '0ULL';
      return `r->${to}[${i}] = intransit_flow_choose(swapped, ${other}, ${own});`;
    }),
    ...of(`port.${client}`).map((own, i) => {
      const other = of(`port.${server}`)[i] ?? '0ULL';
      return `r->${to}_port = intransit_flow_choose(swapped, ${other}, ${own});`;
    }),
  ];
  const [version] = of('ip.version');
  return [
    ...end('source', 'destination', 'client'),
    ...end('destination', 'source', 'server'),
    `r->ip_version = ${version === undefined ? definition.ipVersions[0] : `4 + 2 * ${version}`};`,
    ...of('ip.protocol').map((text) => `r->ip_protocol = ${text};`),
  ];
}

/** Parts into words, the largest first, each where there is room. */
function pack(parts: readonly Part[]): { words: readonly string[]; places: readonly KeyPlace[] } {
  const words: { text: string[]; used: number }[] = [];
  const places: KeyPlace[] = [];
  for (const { field, value, bits } of [...parts].sort((a, b) => b.bits - a.bits)) {
    let index = words.findIndex((w) => w.used + bits <= WORD);
    if (index < 0) index = words.push({ text: [], used: 0 }) - 1;
    const word = words[index]!;
    word.text.push(word.used === 0 ? `(__u64)${value}` : `(__u64)${value} << ${word.used}`);
    places.push({ field, word: index, shift: word.used, bits });
    word.used += bits;
  }
  return { words: words.map((w) => w.text.join(' | ')), places };
}
