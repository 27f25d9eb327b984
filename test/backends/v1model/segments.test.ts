import { expect, test } from 'vitest';
import type { Model } from '../../../src/model/model.ts';
import { interpret } from '../../../src/reference/interpreter.ts';
import { createBmv2Engine } from '../../../src/runtime/bmv2/engine.ts';
import { exampleModel, exampleRows } from './examples.ts';
import { describeWith, P4C, SWITCH } from './tools.ts';

const NAME = 'digits-cnn';
const ROWS = 5;
/** p4c keeps a core busy for seconds; there are two. */
const WORKERS = 2;

/** `[from, to)`, the ones that take p4c longest first: so that both cores end together. */
const segments = (count: number): [from: number, to: number][] =>
  Array.from({ length: count }, (_, from) =>
    Array.from({ length: count - from }, (_, i): [number, number] => [from, from + i + 1]),
  )
    .flat()
    .sort((a, b) => b[1] - b[0] - (a[1] - a[0]));

/** Bytes that differ from the reference's where the segment gets what the layers before it make. */
async function mismatches(model: Model, rows: readonly Uint8Array[], from: number, to: number) {
  const engine = await createBmv2Engine(model, { from, to });
  try {
    const inputs = rows.map((row) => (from === 0 ? row : interpret(model, row, 0, from)));
    const out = await engine.run(Uint8Array.from(Buffer.concat(inputs)));
    const expected = Buffer.concat(inputs.map((input) => interpret(model, input, from, to)));
    expect(out).toHaveLength(expected.length);
    return expected.reduce((count, byte, i) => count + (out[i] === byte ? 0 : 1), 0);
  } finally {
    await engine.close();
  }
}

describeWith([P4C, SWITCH], `${NAME} in pieces on BMv2`, () => {
  test('every segment A..B loads, and real packets give the bytes of the reference', async () => {
    const model = await exampleModel(NAME);
    const bytes = exampleRows(NAME, model, ROWS);
    const width = bytes.length / ROWS;
    const rows = Array.from({ length: ROWS }, (_, i) => bytes.subarray(i * width, (i + 1) * width));
    const left = segments(model.layers.length);
    expect(left).toHaveLength(15);
    const told: string[] = [];
    const work = async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const [from, to] = next;
        const found = await mismatches(model, rows, from, to).catch(String);
        if (found !== 0) told.push(`${from}..${to}: ${found}`);
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, work));
    expect(told).toEqual([]);
  }, 600_000);
});
