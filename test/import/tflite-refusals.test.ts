import { describe, expect, it } from 'vitest';
import { type Diagnostic, DiagnosticError } from '../../src/diagnostics/index.ts';
import { importBytes } from '../../src/import/index.ts';
import { activation, chain, type Grid } from './tflite-blocks.ts';
import { type OperatorSpec, type TensorSpec, type TfliteSpec, writeTflite } from './tflite-writer.ts';

async function faults(bytes: Uint8Array): Promise<readonly Diagnostic[]> {
  try {
    await importBytes(bytes, 'm.tflite');
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics;
    throw error;
  }
  throw new Error('the import did not fail');
}

const x: Grid = { shape: [1, 2], scale: 0.5, zero: 0 };
const y: Grid = { shape: [1, 1], scale: 0.5, zero: 0 };
const w: TensorSpec = { name: 'w', kind: 'int8', shape: [1, 2], scale: 0.1, data: [3, -4] };

/** x -> FULLY_CONNECTED -> y, with what the test changes. */
function fc(change: {
  x?: Partial<TensorSpec>;
  w?: Partial<TensorSpec>;
  b?: Partial<TensorSpec>;
  y?: Partial<TensorSpec>;
  operator?: Partial<OperatorSpec>;
  file?: Partial<TfliteSpec>;
}): Uint8Array {
  const b: TensorSpec = { name: 'b', kind: 'int32', shape: [1], scale: 0.05, data: [7] };
  return writeTflite({
    tensors: [
      { ...activation('x', x), ...change.x },
      { ...w, ...change.w },
      { ...b, ...change.b },
      { ...activation('y', y), ...change.y },
    ],
    operators: [{ op: 'FULLY_CONNECTED', in: [0, 1, 2], out: [3], ...change.operator }],
    inputs: [0],
    outputs: [3],
    ...change.file,
  });
}

describe('files', () => {
  it.each([
    ['text', new TextEncoder().encode('hello, this is no model'), 'identifier'],
    ['empty', new Uint8Array(), 'identifier'],
    ['another identifier', fc({ file: { identifier: 'TFL2' } }), 'identifier is not TFL3'],
    ['another version', fc({ file: { version: 2 } }), 'schema version 2'],
    ['two subgraphs', fc({ file: { subgraphs: 2 } }), '2 subgraphs'],
    ['a tensor that is not there', fc({ operator: { in: [0, 9] } }), 'names a tensor that it lacks'],
    [
      'a tensor that nothing makes',
      fc({ operator: { in: [3, 1, 2] } }),
      'nothing before this operator makes y',
    ],
    ['an output that nothing makes', fc({ file: { outputs: [2] } }), 'nothing makes the output b'],
  ])('%s', async (_, bytes, message) => {
    const [found] = await faults(bytes);
    expect(found).toMatchObject({ code: 'tflite-malformed', place: { file: 'm.tflite' } });
    expect(found!.message).toContain(message);
  });

  it('cut at any place: a message, or the whole model, never another error', async () => {
    const whole = fc({});
    for (let length = 0; length < whole.length; length++) {
      const cut = importBytes(whole.subarray(0, length), 'm.tflite');
      await cut.catch((error: unknown) => expect(error).toBeInstanceOf(DiagnosticError));
    }
  });

  it('with any one byte changed: a message, or a model, never another error', async () => {
    const whole = fc({});
    for (let at = 8; at < whole.length; at++)
      for (const flip of [0x01, 0x80, 0xff]) {
        const changed = whole.slice();
        changed[at]! ^= flip;
        await importBytes(changed, 'm.tflite').catch((error: unknown) =>
          expect(error).toBeInstanceOf(DiagnosticError),
        );
      }
  });

  it('two inputs, and none that computes', async () => {
    expect(await faults(fc({ file: { inputs: [0, 3] } }))).toMatchObject([{ code: 'onnx-several' }]);
    const same = writeTflite({ tensors: [activation('x', x)], operators: [], inputs: [0], outputs: [0] });
    expect(await faults(same)).toMatchObject([{ code: 'tflite-interface' }]);
  });
});

describe('models that are not fully of integers', () => {
  const floats = { kind: 'float32', data: [0.5, 0.25] } as const;

  it.each([
    ['float', fc({ x: { kind: 'float32' }, w: floats }), 'x is float32'],
    ['float weights', fc({ w: floats }), 'w is float32'],
    [
      'dynamic range (hybrid)',
      fc({ x: { kind: 'float32' }, y: { kind: 'float32' } }),
      'dynamic-range (hybrid)',
    ],
    ['float output', fc({ y: { kind: 'float32' } }), 'y is float32'],
    ['int32 activations', fc({ x: { kind: 'int32' } }), 'int32; activations of int8, uint8 and int16'],
    ['float bias', fc({ b: { kind: 'float32', data: [1] } }), 'b is float32'],
  ])('%s', async (_, bytes, message) => {
    const [found, ...more] = await faults(bytes);
    expect(more).toEqual([]);
    expect(found!.code).toBe('tflite-not-integer');
    expect(found!.message).toContain(message);
    expect(found!.remedy).toContain('full integer quantisation');
  });

  it('names operator and tensor', async () => {
    const [found] = await faults(fc({ w: floats }));
    expect(found!.place).toEqual({ file: 'm.tflite', layer: 'FULLY_CONNECTED y' });
  });
});

describe('operators and options', () => {
  it('unsupported operators: a line a kind, with the first place and the count; the rest is passed over', async () => {
    const bytes = chain(x, [
      { op: 'SVDF', out: x },
      { op: 'RELU', out: x },
      { op: 'SVDF', out: x },
      { op: 'ELU', out: x },
    ]);
    expect(await faults(bytes)).toMatchObject([
      {
        code: 'tflite-unsupported-operator',
        place: { layer: 'SVDF y0' },
        message: 'operator SVDF is not supported (2 times, first here)',
        remedy: expect.stringContaining('--output-tensor'),
      },
      { place: { layer: 'ELU y3' }, message: 'operator ELU is not supported' },
    ]);
  });

  it.each([
    ['a fused TANH', fc({ operator: { options: [[0, 'int8', 4]] } }), 'fused_activation_function = TANH'],
    ['shuffled weights', fc({ operator: { options: [[1, 'int8', 1]] } }), 'weights_format'],
    [
      'a softmax within, on another grid than its own',
      chain(x, [
        { op: 'SOFTMAX', out: x },
        { op: 'RELU', out: x },
      ]),
      '1/256, -128 of the output',
    ],
    ['logistic on another grid', chain(x, [{ op: 'LOGISTIC', out: x }]), '0.00390625, -128'],
    [
      'a dilation of nothing',
      chain({ ...x, shape: [1, 2, 2, 1] }, [
        {
          op: 'CONV_2D',
          with: [{ ...w, shape: [1, 1, 2, 1] }],
          options: [[4, 'int32', 0]],
          out: { ...x, shape: [1, 2, 1, 1] },
        },
      ]),
      'dilation = 1x0',
    ],
  ])('%s', async (_, bytes, message) => {
    const [found] = await faults(bytes);
    expect(found!.code).toBe('tflite-option');
    expect(found!.message).toContain(message);
  });

  it.each([
    ['a scale of zero', fc({ w: { scale: 0 } }), 'a scale is not above zero'],
    ['no scale', fc({ x: { scale: [] } }), 'x has 0'],
    ['two scales of one channel', fc({ w: { scale: [0.1, 0.2] } }), '2 scales run along axis 0'],
    ['a zero point out of range', fc({ x: { zero: 300 } }), 'zero point 300'],
  ])('%s', async (_, bytes, message) => {
    const [found] = await faults(bytes);
    expect(found!.code).toBe('bad-quantisation');
    expect(found!.message).toContain(message);
  });

  it('weights and biases of other lengths', async () => {
    expect(await faults(fc({ w: { data: [1] } }))).toMatchObject([{ code: 'shape-mismatch' }]);
    expect(await faults(fc({ w: { shape: [1, 3], data: [1, 2, 3] } }))).toMatchObject([
      { code: 'shape-mismatch' },
    ]);
    expect(await faults(fc({ b: { data: [1, 2] } }))).toMatchObject([{ code: 'shape-mismatch' }]);
  });

  it('weights that the graph computes', async () => {
    const bytes = fc({ operator: { in: [0, 0, 2] } });
    expect(await faults(bytes)).toMatchObject([{ code: 'tflite-dynamic' }]);
  });

  it('tells faults of operators that do not depend on each other', async () => {
    const tensors = [activation('x', x), activation('a', x), activation('b', x), activation('y', x)];
    const operators = [
      { op: 'SIN', in: [0], out: [1] },
      { op: 'COS', in: [0], out: [2] },
      { op: 'ADD', in: [1, 2], out: [3] },
    ];
    const found = await faults(writeTflite({ tensors, operators, inputs: [0], outputs: [3] }));
    expect(found.map(({ place }) => place.layer)).toEqual(['SIN a', 'COS b']);
  });
});
