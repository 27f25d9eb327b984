/** Ports of the controller that mean the same on every device (section "Translation of Port Numbers"). */
export const sdnPort = {
  /** No port. */
  UNKNOWN: 0,
  MIN: 1,
  MAX: 0xffff_feff,
  RECIRCULATE: 0xffff_fffa,
  CPU: 0xffff_fffd,
} as const;
