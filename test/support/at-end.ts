/** What is left to do when the running file of tests is over. */
const left: (() => unknown)[] = [];

/**
 * Does something when the running file of tests ends, the last asked for first. Unlike `afterAll` it can be asked for
 * in a test and in a hook, where vitest takes `afterAll` without a word and never runs it.
 */
export function atFileEnd(act: () => unknown): void {
  left.push(act);
}

/** Does all that is left, also where some of it fails. @throws the first failure */
export async function endFile(): Promise<void> {
  const failures: unknown[] = [];
  for (let act = left.pop(); act !== undefined; act = left.pop()) {
    try {
      await act();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
