/**
 * Runs model files in the kernel: `npx tsx scripts/nets-on-xdp.ts FILE ...`, ONNX or TFLite, such as scripts/random-nets.py,
 * scripts/quantize-static-nets.py and scripts/random-tflite.ts make. Compares random rows byte for byte with the reference, prints a
 * line a file that differs or does not fit, and counts with the kinds of layers that ran; ends with 1 where one differs.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { DiagnosticError } from '../src/diagnostics/index.ts';
import { importBytes } from '../src/import/index.ts';
import { tensorBytes } from '../src/model/tensor.ts';
import { interpretRows } from '../src/reference/interpreter.ts';
import { createEngine } from '../src/runtime/index.ts';
import { random, randomRows } from '../test/support/random.ts';

const ROWS = 20;

const kinds = new Map<string, number>();

async function outcomeOf(file: string): Promise<'equal' | 'differs' | 'refused'> {
  try {
    const { model } = await importBytes(new Uint8Array(readFileSync(file)), basename(file));
    const rows = randomRows(random(7), ROWS, tensorBytes(model.input));
    const engine = await createEngine('xdp', model, {});
    try {
      const [got, wanted] = [await engine.run(rows), interpretRows(model, rows)];
      for (const { kind } of model.layers) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      return Buffer.compare(got, wanted) === 0 ? 'equal' : 'differs';
    } finally {
      await engine.close();
    }
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    const [first] = error.diagnostics.filter(({ severity }) => severity === 'error');
    console.log(`${basename(file)}: ${first?.code} ${first?.message}`);
    return 'refused';
  }
}

const counts = new Map<string, number>();
for (const file of process.argv.slice(2)) {
  const outcome = await outcomeOf(file);
  counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  if (outcome === 'differs') console.log(`${basename(file)}: differs from the reference`);
}
console.log(Object.fromEntries(counts), Object.fromEntries(kinds));
process.exitCode = counts.has('differs') ? 1 : 0;
