import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const hasPython = spawnSync('python3', ['-c', 'import numpy']).status === 0;
if (!hasPython) console.warn('no random TFLite networks: python3 lacks numpy');

/** Networks and the first seed; scripts/random-tflite.ts makes as many as one likes. */
const RANDOM = ['10', '500'];

it.skipIf(!hasPython)('random networks give the integers of the second witness, in both roundings', () => {
  const folder = mkdtempSync(join(tmpdir(), `intransit-tflite-${process.pid}-`));
  try {
    const script = fileURLToPath(new URL('../../scripts/random-tflite.ts', import.meta.url));
    const argv = ['--import', 'tsx', script, folder, ...RANDOM];
    const { stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
    expect(stdout.trim(), stderr).toBe('{ equal: 20 }');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
