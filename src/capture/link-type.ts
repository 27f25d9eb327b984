/** Link types of captures (LINKTYPE_ numbers of pcap) that carry IP in a way that is understood here. */
export const linkTypes = {
  0: 'loopback',
  1: 'ethernet',
  12: 'raw',
  14: 'raw',
  101: 'raw',
  108: 'loopback',
  113: 'linux-sll',
  228: 'raw',
  229: 'raw',
  276: 'linux-sll2',
} as const;

/** How the IP packet is found in a frame of the link. */
export type LinkType = (typeof linkTypes)[keyof typeof linkTypes];

/** Undefined for a LINKTYPE number whose frames are skipped and counted. */
export const linkTypeOf = (number: number): LinkType | undefined =>
  (linkTypes as Readonly<Record<number, LinkType>>)[number];
