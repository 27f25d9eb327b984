import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importModel } from '../../src/import/index.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { intransit } from '../support/io.ts';

const FIXTURES = 'test/import/fixtures';
const recorded: Record<string, Record<'x' | 'double' | 'single', string>> = JSON.parse(
  readFileSync(`${FIXTURES}/tflite-cases.rows.json`, 'utf8'),
);
const ROWS = 24;

/** First of the largest, and what is between it and the next. */
function verdictOf(logits: Int8Array): [number, number] {
  const best = logits.indexOf(Math.max(...logits));
  const others = logits.filter((_, i) => i !== best);
  return [best, Math.min(255, logits[best]! - Math.max(...others))];
}

describe.each([
  ['argmax-end', true],
  ['cnn-flatten', true],
  ['global-max', false],
  ['mlp-softmax-float', true],
  ['normalization-first', false],
  ['permute', false],
] as const)('%s of TensorFlow 2.21, by an interpreter of the published kernels', (name, isVerdict) => {
  const file = `${FIXTURES}/tflite-${name}.tflite`;
  const bytes = (what: 'x' | 'double' | 'single') => Buffer.from(recorded[name]![what], 'base64');

  it.each(['double', 'single'] as const)('rounds %s', async (kind) => {
    const { model } = await importModel(file, { tfliteRounding: kind });
    const before = new Int8Array(bytes(kind));
    const size = before.length / ROWS;
    const expected = isVerdict
      ? Array.from({ length: ROWS }, (_, r) => verdictOf(before.subarray(r * size, (r + 1) * size))).flat()
      : [...bytes(kind)];
    expect([...interpretRows(model, bytes('x'))]).toEqual(expected);
    expect(model.layers.at(-1)!.kind === 'argmax').toBe(isVerdict);
    // The rows tell the roundings apart.
    expect(Buffer.compare(bytes('double'), bytes('single'))).not.toBe(0);
  });

  it('fits the kernel', async () => {
    expect((await intransit('inspect', file)).code).toBe(0);
  });
});
