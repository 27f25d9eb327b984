import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importJson } from '../../src/import/index.ts';
import { jsonSchemaText, layerKinds } from '../../src/import/json/schema.ts';
import { outputType } from '../../src/model/model.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { interpret } from '../../src/reference/interpreter.ts';

const docs = readFileSync('docs/json-model.md', 'utf8');
const examples = [...docs.matchAll(/^```json\n([\s\S]*?)^```/gm)]
  .map((match) => match[1]!)
  .filter((text) => text.includes('"format"'));

describe('docs/json-model.md', () => {
  it.each(examples.map((text, i) => [i, text] as const))(
    'example %i imports without a word and runs',
    async (i, text) => {
      const { model, diagnostics } = await importJson(text, `example${i}.json`);
      // A mean on the input's own scale has ties, which go to even in the source alone.
      expect(diagnostics.filter((d) => d.code !== 'rounding-differs')).toEqual([]);
      const row = Uint8Array.from(
        { length: elementCount(model.input.shape) },
        (_, j) => (j * 37 + 11) & 0x7f,
      );
      expect(interpret(model, row)).toHaveLength(elementCount(outputType(model).shape));
    },
  );

  it('has an example of every kind of layer', () => {
    const all = examples.join('');
    for (const kind of layerKinds) expect(all).toContain(`"kind": "${kind}"`);
  });
});

describe('schema/model.schema.json', () => {
  const file = 'schema/model.schema.json';

  it('is generated from the zod schema (UPDATE=1 writes it)', () => {
    if (process.env.UPDATE || !existsSync(file)) writeFileSync(file, jsonSchemaText());
    expect(readFileSync(file, 'utf8')).toBe(jsonSchemaText());
  });
});
