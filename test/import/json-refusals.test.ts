import { describe, expect, it } from 'vitest';
import { type Diagnostic, DiagnosticError, formatDiagnostic } from '../../src/diagnostics/index.ts';
import { importJson } from '../../src/import/index.ts';

const dense = {
  kind: 'dense',
  name: 'fc',
  weights: [
    [1, 2],
    [3, 4],
  ],
  weightScale: 0.1,
  output: { element: 'int8', scale: 1 },
};

const model = (change: object = {}) => ({
  format: 'intransit-model',
  version: 1,
  input: { element: 'uint8', shape: [2], scale: 0.1 },
  layers: [dense],
  ...change,
});

async function faults(document: unknown): Promise<readonly Diagnostic[]> {
  try {
    await importJson(typeof document === 'string' ? document : JSON.stringify(document), 'm.json');
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics;
    throw error;
  }
  throw new Error('the import did not fail');
}

const layers = (...list: object[]) => model({ layers: list });

describe('a wrong field is told with its path and what is expected', () => {
  it.each([
    ['version', model({ version: 2 }), 'version: expected 1'],
    ['format', model({ format: 'other' }), "format: expected 'intransit-model'"],
    ['no layers', model({ layers: [] }), 'layers:'],
    [
      'scale',
      model({ input: { element: 'uint8', shape: [2], scale: -1 } }),
      'input.scale: expected number to be >0',
    ],
    ['element', model({ input: { element: 'int4', shape: [2], scale: 1 } }), 'input.element:'],
    [
      'zero point',
      model({ input: { element: 'int8', shape: [2], scale: 1, zeroPoint: 200 } }),
      'input.zeroPoint: expected an integer in -128..127',
    ],
    ['kind', layers({ kind: 'recurrent' }), 'layers[0].kind: expected a kind out of dense, conv2d'],
    ['unknown field', layers({ ...dense, wieghts: [] }), 'layers[0]: there is no field wieghts'],
    [
      'weights',
      layers({ ...dense, weights: [[1, 'a']] }),
      'layers[0].weights: expected integers in -128..255',
    ],
    [
      'weights count',
      layers({ ...dense, weights: [1, 2, 3] }),
      'layers[0].weights: expected a multiple of 2',
    ],
    [
      'bias count',
      layers({ ...dense, bias: [1] }),
      'layers[0].bias: expected 2 values, one a channel, not 1',
    ],
    [
      'scales count',
      layers({ ...dense, weightScale: [1, 2, 3] }),
      'layers[0].weightScale: expected 2 values',
    ],
    [
      'no scales',
      layers({ ...dense, weightScale: undefined }),
      'layers[0].weightScale: expected scales of the weights',
    ],
    ['rounding', layers({ ...dense, rounding: 'up' }), 'layers[0].rounding:'],
    [
      'input',
      layers({ ...dense, input: 'nobody' }),
      'layers[0].input: expected the name of an earlier layer, not nobody',
    ],
    ['name', layers(dense, { ...dense }), 'layers[1].name: expected a name that is not taken'],
    [
      'reshape',
      layers({ kind: 'reshape', shape: [3] }, dense),
      'layers[0].shape: expected a shape of 2 elements',
    ],
    ['clamp', layers(dense, { kind: 'clamp', min: 9, max: 1 }), 'layers[1].min: expected min <= max'],
    [
      'table and function',
      layers({ kind: 'lut', function: 'tanh', table: new Array(256).fill(0), output: dense.output }),
      'layers[0].table: expected either a table or a function',
    ],
    [
      'a short table',
      layers({ kind: 'lut', table: [1], output: dense.output }),
      'layers[0].table: expected 256',
    ],
    ['axes', layers({ kind: 'transpose', axes: [1] }), 'layers[0].axes: expected 0 in some order'],
    [
      'weights of 4 bits',
      layers({ ...dense, weights: [90, 1], weightBits: 4 }),
      'layers[0].weights: expected weights of 4',
    ],
    [
      'rows',
      layers({ kind: 'embedding', rows: 2, table: [1, 2, 3], tableScale: 1, output: dense.output }),
      'layers[0].table: expected a multiple of 2 entries',
    ],
    ['nothing computed', layers({ kind: 'flatten' }), 'layers: at least one layer that computes'],
  ])('%s', async (_, document, message) => {
    const found = await faults(document);
    expect(found.map(({ code }) => code)).toEqual(['json-field']);
    expect(formatDiagnostic(found[0]!)).toContain(message);
  });

  it('names the layer', async () => {
    const [found] = await faults(layers({ ...dense, bias: 'none' }));
    expect(found!.place).toEqual({ file: 'm.json', layer: 'fc' });
  });

  it('tells all of them', async () => {
    const found = await faults(
      model({ version: 9, layers: [{ ...dense, weightScale: 0 }, { kind: 'what' }] }),
    );
    expect(found).toHaveLength(3);
  });

  it('tells faults of layers that do not depend on each other', async () => {
    const found = await faults(
      layers({ ...dense, name: 'a', bias: [1] }, { ...dense, name: 'b', input: 'input', bias: [1, 2, 3] }),
    );
    expect(found.map(({ place }) => place.layer)).toEqual(['a', 'b']);
  });
});

it('text that is no JSON', async () => {
  expect((await faults('{ "format": ')).map(({ code }) => code)).toEqual(['json-syntax']);
});

it('an image that is none, and a window that does not fit', async () => {
  const conv = { ...dense, kind: 'conv2d', kernel: [2, 2], weights: [1, 2, 3, 4] };
  expect((await faults(layers(conv)))[0]!.code).toBe('shape-mismatch');
  const small = model({ input: { element: 'uint8', shape: [1, 1, 1], scale: 1 }, layers: [conv] });
  expect((await faults(small))[0]!.message).toContain('an image of at least 2x2');
});

it('integers of a requantiser that are no function of the accumulator in doubles', async () => {
  const requantiser = { multiplier: [2 ** 50, 1], offset: [0, 0], shift: 3, min: -128, max: 127 };
  const found = await faults(layers({ ...dense, requantiser }));
  expect(found).toMatchObject([{ code: 'model-invalid', place: { layer: 'fc' } }]);
});
