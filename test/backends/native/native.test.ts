import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { importModel } from '../../../src/import/index.ts';
import type { Model } from '../../../src/model/model.ts';
import { elementCount } from '../../../src/model/tensor.ts';
import { interpretRows } from '../../../src/reference/interpreter.ts';
import { buildNative } from '../../../src/runtime/bench.ts';
import { describeWithTools } from '../../support/machine.ts';
import { modelOf, randomCnn, randomLinear, randomMlp } from '../../support/models.ts';
import { random, randomRows } from '../../support/random.ts';
import { inParallel } from '../../support/xdp.ts';

async function agree(model: Model, rows: Uint8Array, flags: readonly string[] = ['-O1', '-Wall', '-Werror']) {
  using program = await buildNative(model, flags);
  expect(Buffer.compare(program.run(rows), interpretRows(model, rows))).toBe(0);
}

describeWithTools(['gcc'], 'native C gives the integers of the reference', () => {
  it.each(['digits-mlp', 'digits-cnn', 'traffic-mlp'])('%s', async (name) => {
    const { model } = await importModel(`examples/${name}.onnx`);
    const rows = readFileSync(`examples/${name}.x.bin`);
    await agree(model, rows, ['-O3', '-march=native']);
  });

  it('40 random models', async () => {
    const seeds = Array.from({ length: 20 }, (_, i) => 500 + i);
    await inParallel(
      seeds.flatMap((seed) => [randomMlp(seed), randomCnn(seed)]),
      2,
      (model) => agree(model, randomRows(random(1), 30, elementCount(model.input.shape))),
    );
  });

  it('a verdict over one class is as sure as can be', () =>
    agree(
      modelOf({ element: 'int8', scale: 1, shape: [1] }, [{ kind: 'argmax' }]),
      Uint8Array.of(128, 255, 0, 127),
    ));

  it('the rounding of TFLite, half away from zero', async () => {
    const grid = { element: 'int8', scale: 0.05, zeroPoint: 3 } as const;
    const r = random(77);
    for (const scale of [0.3, 2, 11]) {
      const layer = {
        ...randomLinear(r, 9, 12, grid),
        output: { ...grid, scale },
        rounding: 'tflite' as const,
      };
      const model = modelOf({ ...grid, shape: [9] }, [{ kind: 'dense', ...layer }]);
      await agree(model, randomRows(r, 200, 9));
    }
  });

  it('times inferences and multiplies', async () => {
    const model = randomMlp(1);
    using program = await buildNative(model, ['-O2']);
    const time = program.time(100, randomRows(random(1), 3, elementCount(model.input.shape)));
    expect(time.inference).toBeGreaterThan(0);
    expect(time.multiply).toBeGreaterThan(0);
  });
});
