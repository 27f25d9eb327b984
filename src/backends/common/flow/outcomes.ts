/** What becomes of a packet in flow mode, on every device: exactly one of these. */
export const flowOutcomes = [
  { name: 'classified', describe: 'its flow was due, and the model gave a verdict with it' },
  { name: 'cached', describe: 'its flow has a verdict already' },
  { name: 'early', describe: 'its flow has no verdict yet, and was not due' },
  { name: 'collided', describe: 'all places that its flow may take belong to others that are alive' },
  { name: 'foreign', describe: 'no packet that the definition accepts' },
  { name: 'fragment', describe: 'an IP fragment' },
  { name: 'tunnel', describe: 'IP within IP, or GRE' },
  { name: 'damaged', describe: 'its headers contradict themselves, or are cut' },
  { name: 'failed', describe: 'a part of the device was not ready; it passed untouched' },
  { name: 'late', describe: 'its flow has ended already, and is classified' },
] as const;

/**
 * Cells behind those: flows that began, those that made room, and those that were classified without a packet; then those that a
 * larger model was asked about, had its answer, were gone by then, and those that there was no budget to ask about.
 */
export const flowEvents = ['begun', 'evicted', 'ended', 'asked', 'answered', 'overdue', 'shed'] as const;

/** What happened to a flow; counted behind the outcomes of its packets. */
export type FlowEventName = (typeof flowEvents)[number];
/** What became of a packet in flow mode; each packet has one. */
export type FlowOutcomeName = (typeof flowOutcomes)[number]['name'];

/** Packets and bytes of a class; of these, what was beyond its rate. */
export interface ClassCounts {
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly limitedPackets: bigint;
  readonly limitedBytes: bigint;
}
