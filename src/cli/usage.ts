/** Wrong usage that parsing alone does not find: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Options that mean nothing without another, by name.
 * @throws UsageError where one of them is given
 */
export function refuseLone(of: string, options: Readonly<Record<string, unknown>>, remedy: string): void {
  const [lone] = Object.entries(options).find(([, value]) => value !== undefined) ?? [];
  if (lone !== undefined) throw new UsageError(`--${lone} is of --${of}: ${remedy}`);
}

/** A certificate is of no use without its key. @param prefix of both options. @throws UsageError */
export function refuseHalfPair(prefix: string, cert: string | undefined, key: string | undefined): void {
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError(`--${prefix}-cert and --${prefix}-key belong together`);
}
