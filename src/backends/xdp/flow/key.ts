import type { FeatureDefinition } from '../../../features/definition.ts';
import type { KeyField } from '../../../features/definition-schema.ts';

/** A part of a key: a C value of so many bits. */
interface Part {
  readonly value: string;
  readonly bits: number;
}

const WORD = 64;

/** How a flow's key is made. */
export interface KeyCode {
  /** Statements that declare `swapped`, and `key0` and on. */
  readonly lines: readonly string[];
  /** Words of 64 bits. */
  readonly words: number;
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
          value: end(field, `${own}[${i}]`, `${other}[${i}]`),
          bits,
        });
        return hasIpv6 ? [word(0, WORD), word(1, WORD)] : [word(0, 32)];
      }
      case 'port.source':
        return [{ value: end(field, 'p->port_source', 'p->port_destination'), bits: 16 }];
      case 'port.destination':
        return [{ value: end(field, 'p->port_destination', 'p->port_source'), bits: 16 }];
      case 'ip.protocol':
        return [{ value: 'p->ip_protocol', bits: 8 }];
      case 'ip.dscp':
        return [{ value: '(p->ip_service >> 2)', bits: 6 }];
      case 'vlan.id':
        return [{ value: 'p->vlan_id', bits: 12 }];
      default:
        return field satisfies never;
    }
  });
  const all =
    definition.ipVersions.length > 1 ? [...parts, { value: '(p->ip_version == 6)', bits: 1 }] : parts;
  const words = pack(all);
  lines.push(...words.map((text, i) => `const __u64 key${i} = ${text};`));
  return { lines, words: words.length };
}

/** Parts into words, the largest first, each where there is room. */
function pack(parts: readonly Part[]): string[] {
  const words: { text: string[]; used: number }[] = [];
  for (const { value, bits } of [...parts].sort((a, b) => b.bits - a.bits)) {
    let word = words.find((w) => w.used + bits <= WORD);
    if (word === undefined) {
      word = { text: [], used: 0 };
      words.push(word);
    }
    word.text.push(word.used === 0 ? `(__u64)${value}` : `(__u64)${value} << ${word.used}`);
    word.used += bits;
  }
  return words.map((w) => w.text.join(' | '));
}
