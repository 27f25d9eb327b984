import { describe } from 'vitest';
import { findTool, P4C, SWITCH } from '../../../src/toolchain/p4c.ts';

/** `describe`, or a skip whose title says which tools are not there. */
export function describeWith(tools: readonly string[], title: string, body: () => void): void {
  const missing = tools.filter((tool) => findTool(tool) === undefined);
  if (missing.length === 0) describe(title, body);
  else describe.skip(`${title} (skipped: ${missing.join(' and ')} not on the PATH)`, body);
}

export { P4C, SWITCH };
