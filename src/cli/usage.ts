/** Wrong usage that parsing alone does not find: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
