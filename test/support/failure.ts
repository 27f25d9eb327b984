/** What a promise fails with, which must be an error of this class. */
export async function failureOf<E extends Error>(
  work: Promise<unknown>,
  kind: abstract new (...args: never[]) => E,
): Promise<E> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (error instanceof kind) return error;
  throw error ?? new Error(`expected ${kind.name}`);
}
