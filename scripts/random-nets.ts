/**
 * Compares the reference with ONNX Runtime, each node by its own kernel: `npx tsx scripts/random-nets.ts FILE.onnx ...`, of
 * what scripts/random-nets.py makes or any other. Prints one line a file that is not equal, and counts; ends with 1 where an answer
 * differs without a warning, or anything but a refusal is thrown.
 */
import { basename } from 'node:path';
import { type NetOutcome, netOutcome } from '../test/support/net-outcome.ts';

const counts = new Map<NetOutcome, number>();
for (const file of process.argv.slice(2)) {
  const [outcome, text] = await netOutcome(file);
  counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  if (outcome !== 'equal' && outcome !== 'verdict') console.log(`${basename(file)}: ${outcome} ${text}`);
}
console.log(Object.fromEntries(counts));
process.exitCode = counts.has('silent') || counts.has('thrown') ? 1 : 0;
