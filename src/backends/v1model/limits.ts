/** What p4c and BMv2 (simple_switch) can hold, as data. */
export const v1model = {
  name: 'v1model',
  /** p4c refuses wider fields, parameters and expressions (`maximumWidthSupported` in p4c's ir/configuration.h). */
  maxWidthBits: 2048,
  /**
   * Multiply-adds of one layer: p4c writes about 2 kB of JSON for each, and takes minutes and gigabytes beyond.
   */
  maxProducts: 20_000,
  /** A pushed entry must fit a gRPC message of 4 MiB, the default of the switch's server. */
  maxEntryBytes: 4 * 2 ** 20 - 2 ** 16,
  /** Ethernet payload. */
  defaultMtu: 1500,
} as const;
