/** Suites that need this machine's kernel, root or tools; they are skipped aloud, with the reason in their title. */
import { spawnSync } from 'node:child_process';
import { describe } from 'vitest';

export { describeWith, loading } from '../bpf/support.ts';

/** A suite that needs programs on the PATH. */
export function describeWithTools(tools: readonly string[], title: string, body: () => void): void {
  const missing = tools.filter(
    (tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error !== undefined,
  );
  const reason = missing.length === 0 ? '' : ` [SKIPPED: ${missing.join(', ')} is not on the PATH]`;
  if (missing.length > 0) console.warn(title + reason);
  describe.skipIf(missing.length > 0)(title + reason, body);
}

export const isRoot = process.getuid?.() === 0;
