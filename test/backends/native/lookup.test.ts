import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { emitNative } from '../../../src/backends/native/emit.ts';
import type { Model } from '../../../src/model/model.ts';
import { elementCount } from '../../../src/model/tensor.ts';
import { interpretRows } from '../../../src/reference/interpreter.ts';
import { modelOf, randomJoined } from '../../support/models.ts';
import { random, randomRows } from '../../support/random.ts';

/** The second witness: the same rows through C. */
function native(model: Model, rows: Uint8Array): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'intransit-native-'));
  try {
    writeFileSync(join(folder, 'm.c'), emitNative(model));
    execFileSync('cc', ['-O1', '-Wall', '-Werror', '-o', join(folder, 'm'), join(folder, 'm.c')]);
    return new Uint8Array(execFileSync(join(folder, 'm'), ['run'], { input: rows, maxBuffer: 1 << 26 }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const int8 = { element: 'int8', scale: 0.1, zeroPoint: -4 } as const;
const uint8 = { element: 'uint8', scale: 0.004, zeroPoint: 0 } as const;
const hasCompiler = spawnSync('cc', ['--version']).status === 0;
if (!hasCompiler) console.warn('SKIPPED: there is no C compiler');

const r = random(7);
const table = Array.from({ length: 6 }, () => Array.from({ length: 5 }, () => r.int(-128, 127)));

describe.skipIf(!hasCompiler)('native C is the reference, byte for byte', () => {
  it.each<readonly [string, Model]>([
    [
      'pad, transpose, table',
      modelOf({ ...int8, shape: [2, 3, 4] }, [
        { kind: 'pad', pads: [1, 2, 0, 1], value: 9 },
        { kind: 'transpose', axes: [2, 0, 1] },
        { kind: 'lut', function: 'gelu', output: int8 },
        { kind: 'lut', function: 'sigmoid', output: uint8 },
      ]),
    ],
    [
      'embedding in bags, then a layer with an offset of its own below zero',
      modelOf({ element: 'uint8', shape: [12], scale: 1 }, [
        { kind: 'embedding', keyBytes: 2, bag: 3, rows: 6, table, tableScale: 0.1, output: int8 },
        {
          kind: 'dense',
          weights: Array.from({ length: 70 }, () => r.int(-128, 127)),
          weightScale: 0.013,
          output: { ...int8, scale: 0.37 },
          rounding: 'tflite',
        },
      ]),
    ],
    ...[3, 8, 11, 12].map((seed) => [`joined values, seed ${seed}`, randomJoined(seed)] as const),
  ])('%s', (_, model) => {
    const rows = randomRows(random(3), 300, elementCount(model.input.shape));
    // Keys that are known, most of the time.
    if (model.layers[0]!.kind === 'embedding')
      for (let i = 0; i < rows.length; i++) rows[i] = i % 2 ? 0 : rows[i]! % 8;
    expect(native(model, rows)).toEqual(interpretRows(model, rows));
  });

  it('covers the second offset', () => {
    const model = modelOf({ ...int8, shape: [40] }, [
      {
        kind: 'dense',
        weights: Array.from({ length: 120 }, () => r.int(-128, 127)),
        weightScale: 0.013,
        output: { ...int8, scale: 0.9 },
        rounding: 'tflite',
      },
    ]);
    expect(model.layers[0]).toMatchObject({ requantiser: { below: { pivot: [0, 0, 0] } } });
    const rows = randomRows(random(4), 400, 40);
    expect(native(model, rows)).toEqual(interpretRows(model, rows));
  });
});
