import { describe, expect } from 'vitest';
import type { Model } from '../../../src/model/model.ts';
import { interpretRows } from '../../../src/reference/interpreter.ts';
import { createBmv2Engine } from '../../../src/runtime/bmv2/engine.ts';
import { findTool } from '../../../src/toolchain/find-tool.ts';
import { P4C, SWITCH } from '../../../src/toolchain/p4c.ts';

/** `describe`, or a skip whose title says which tools are not there. */
export function describeWith(tools: readonly string[], title: string, body: () => void): void {
  const missing = tools.filter((tool) => findTool(tool) === undefined);
  if (missing.length === 0) describe(title, body);
  else describe.skip(`${title} (skipped: ${missing.join(' and ')} not on the PATH)`, body);
}

/** Sends the rows through a switch of their own. @returns bytes that are not the reference's */
export async function bmv2Mismatches(model: Model, rows: Uint8Array, options = {}): Promise<number> {
  const engine = await createBmv2Engine(model, options);
  try {
    const out = await engine.run(rows);
    const expected = interpretRows(model, rows);
    expect(out).toHaveLength(expected.length);
    return expected.reduce((count, byte, i) => count + (out[i] === byte ? 0 : 1), 0);
  } finally {
    await engine.close();
  }
}

export { P4C, SWITCH };
