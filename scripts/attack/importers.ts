import { readFileSync } from 'node:fs';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { importBytes } from '../../src/import/index.ts';
import { type Random, random } from '../../test/support/random.ts';
import { type Attack, MOST_FAULTS } from './attack.ts';

const FILES = 5000;
const MOST_MS = 2000;

const models = ['examples/traffic-mlp.onnx', 'examples/digits-mlp.onnx', 'examples/digits-cnn.onnx'];

function damage(r: Random, file: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(r.chance(0.2) ? file.subarray(0, r.int(0, file.length)) : file);
  for (let changes = r.int(1, 6); changes > 0 && bytes.length > 0; changes--)
    bytes[r.int(0, bytes.length - 1)] = r.chance(0.5) ? r.pick([0, 0x7f, 0x80, 0xff]) : r.int(0, 255);
  return bytes;
}

/** Damaged models: a model or a refusal, and soon. */
export const importers: Attack = {
  name: 'damaged models, import',
  what: `anything but a model or a refusal, or one that takes longer than ${MOST_MS} ms`,
  async run({ seed, scale }) {
    const r = random(seed);
    const whole = models.map((file) => ({ file, bytes: readFileSync(file) }));
    const faults: string[] = [];
    const count = Math.round(FILES * scale);
    let [imported, refused, longestMs] = [0, 0, 0];
    for (let i = 0; i < count; i++) {
      const { file, bytes } = r.pick(whole);
      const damaged = damage(r, bytes);
      const started = process.cpuUsage();
      try {
        await importBytes(damaged, file);
        imported++;
      } catch (error) {
        if (error instanceof DiagnosticError) refused++;
        else if (faults.length < MOST_FAULTS) faults.push(`file ${i} (seed ${seed}): ${error}`);
      }
      const { user, system } = process.cpuUsage(started);
      longestMs = Math.max(longestMs, Math.round((user + system) / 1000));
    }
    if (longestMs > MOST_MS) faults.push(`one took ${longestMs} ms of processor time`);
    return { figures: { files: count, imported, refused, longestMs }, faults };
  },
};
