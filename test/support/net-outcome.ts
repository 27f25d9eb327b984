import { readFileSync } from 'node:fs';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { importBytes } from '../../src/import/index.ts';
import { macs } from '../../src/model/model.ts';
import { tensorBytes } from '../../src/model/tensor.ts';
import { compareWithRuntime } from './onnx-runtime.ts';
import { random, randomRows } from './random.ts';

const ROWS = 40;
const MOST_WORK = 2e7;

/** What becomes of an ONNX file: `silent` is off from ONNX Runtime without a warning, `note` with no more than a note. */
export type NetOutcome =
  | 'equal'
  | 'warned'
  | 'note'
  | 'silent'
  | 'refused'
  | 'uncompared'
  | 'thrown'
  | 'verdict';

/** Imports the file and runs random rows through the reference and ONNX Runtime; with what is to be said of it. */
export async function netOutcome(file: string): Promise<readonly [NetOutcome, string]> {
  let imported: Awaited<ReturnType<typeof importBytes>>;
  const bytes = new Uint8Array(readFileSync(file));
  try {
    imported = await importBytes(bytes, file);
  } catch (error) {
    if (!(error instanceof DiagnosticError)) return ['thrown', String((error as Error).stack)];
    const errors = error.diagnostics.filter(({ severity }) => severity === 'error');
    return [
      'refused',
      errors.map(({ code, place, message }) => `${code} ${place.layer}: ${message}`).join(' | '),
    ];
  }
  const { model, diagnostics } = imported;
  try {
    // A verdict is no tensor of the runtime's.
    if (model.layers.at(-1)!.kind === 'argmax') return ['verdict', ''];
    const work = model.layers.reduce((sum, layer) => sum + macs(model, layer), 1);
    const count = Math.max(1, Math.min(ROWS, Math.floor(MOST_WORK / work)));
    const rows = randomRows(random(5), count, tensorBytes(model.input));
    const { mismatches, elements, furthest } = await compareWithRuntime(bytes, imported, rows);
    if (mismatches === 0) return ['equal', ''];
    const told = diagnostics.filter(({ severity }) => severity === 'warning');
    const share = `${((100 * mismatches) / elements).toFixed(2)} % off by up to ${furthest}`;
    const texts = told.map(({ code, place, message }) => `${code} ${place.layer}: ${message}`);
    const notes = diagnostics.some(({ code }) => code === 'float-sums-rare');
    return [told.length > 0 ? 'warned' : notes ? 'note' : 'silent', [share, ...texts].join(' | ')];
  } catch (error) {
    return ['uncompared', String((error as Error).message).split('\n')[0]!];
  }
}
