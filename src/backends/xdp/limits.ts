/** Limits of XDP programs that matter here; Linux 5.17 and later. */
export const xdpLimits = {
  /** BPF_COMPLEXITY_LIMIT_INSNS: instructions that the verifier walks, over all paths. */
  verifiedInstructions: 1_000_000,
  /** Reach of a jump: 16 bits, signed. clang 14 lets longer ones wrap round. */
  codeInstructions: 32_767,
  /** MAX_BPF_STACK, bytes. */
  stackBytes: 512,
  /** KMALLOC_MAX_SIZE of array maps, bytes of one value. */
  mapValueBytes: 4 * 1024 * 1024,
  /**
   * A frame in one page of 4,096 bytes, less XDP_PACKET_HEADROOM (256) and skb_shared_info (320): what a program without
   * fragments is given, and how far it may lengthen its packet, in drivers as in test runs.
   */
  frameBytes: 4096 - 256 - 320,
  /** PCPU_MIN_UNIT_SIZE: one value of a per-CPU array, bytes. */
  perCpuValueBytes: 32 * 1024,
} as const;
