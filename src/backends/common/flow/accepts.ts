import type { FeatureDefinition } from '../../../features/definition.ts';

/** Numbers of the transports that definitions name. */
export const PROTOCOL_NUMBERS = { tcp: [6], udp: [17], icmp: [1, 58] } as const;

/** C or P4 that is true for packets that the definition accepts. @param packet how its fields begin, `p->` for one */
export function acceptance({ ipVersions, protocols }: FeatureDefinition, packet: string): string {
  const any = (name: string, values: readonly number[]) =>
    values.map((v) => `${packet}${name} == ${v}`).join(' || ');
  const numbers = protocols.flatMap((p): readonly number[] => PROTOCOL_NUMBERS[p]);
  return `(${any('ip_version', ipVersions)}) && (${any('ip_protocol', numbers)})`;
}
