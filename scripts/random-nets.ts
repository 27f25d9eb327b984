/**
 * Compares the reference with ONNX Runtime, each node by its own kernel: `npx tsx scripts/random-nets.ts FILE.onnx ...`, of
 * what scripts/random-nets.py makes or any other. Prints one line a file that is not equal, and counts; ends with 1 where an answer
 * differs without a warning, or anything but a refusal is thrown.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { DiagnosticError } from '../src/diagnostics/index.ts';
import { importBytes } from '../src/import/index.ts';
import { macs } from '../src/model/model.ts';
import { elementCount } from '../src/model/tensor.ts';
import { compareWithRuntime } from '../test/support/onnx-runtime.ts';
import { random, randomRows } from '../test/support/random.ts';

const ROWS = 40;
const MOST_WORK = 2e7;

type Outcome = 'equal' | 'warned' | 'note' | 'silent' | 'refused' | 'uncompared' | 'thrown' | 'verdict';

async function outcomeOf(file: string): Promise<readonly [Outcome, string]> {
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
    const rows = randomRows(random(5), count, elementCount(model.input.shape));
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

const counts = new Map<Outcome, number>();
for (const file of process.argv.slice(2)) {
  const [outcome, text] = await outcomeOf(file);
  counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  if (outcome !== 'equal' && outcome !== 'verdict') console.log(`${basename(file)}: ${outcome} ${text}`);
}
console.log(Object.fromEntries(counts));
process.exitCode = counts.has('silent') || counts.has('thrown') ? 1 : 0;
