import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import type { TensorType } from '../../src/model/tensor.ts';
import { formatRows, readRows } from '../../src/rows/index.ts';
import { scalar, writeOnnx } from '../import/onnx-writer.ts';
import { testFolder } from '../support/io.ts';
import { random } from '../support/random.ts';

const folder = testFolder();

/** The header of a float32 array of so many rows, then the elements. */
function floatNpy(values: Float32Array, width: number): Buffer {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${values.length / width}, ${width}), }\n`;
  const head = Buffer.alloc(10);
  head.write('\x93NUMPY\x01', 0, 'latin1');
  head.writeUInt16LE(header.length, 8);
  return Buffer.concat([head, Buffer.from(header), Buffer.from(values.buffer)]);
}

async function quantizeLinear(values: Float32Array, type: TensorType): Promise<number[]> {
  const bytes = writeOnnx({
    nodes: [{ op: 'QuantizeLinear', in: ['x', 'scale', 'zero'], out: 'y' }],
    constants: { scale: scalar('float', type.scale), zero: scalar(type.element, type.zeroPoint) },
    input: { type: 'float', dims: [values.length] },
    outputType: type.element,
  });
  const session = await ort.InferenceSession.create(bytes);
  const { y } = await session.run({ x: new ort.Tensor('float32', values, [values.length]) });
  return Array.from(y!.data as Uint8Array, (v) => v & 0xff);
}

describe('reals on the grid of the input', () => {
  it.each([
    ['uint8', 1 / 255, 0],
    ['int8', 0.1, -3],
    ['uint8', 0.5, 128],
    ['int8', 3.7e-5, 127],
    ['uint8', 2, 7],
  ] as const)(
    'are those of QuantizeLinear in ONNX Runtime: %s, scale %f',
    async (element, given, zeroPoint) => {
      const scale = Math.fround(given);
      const type: TensorType = { element, shape: [4], scale, zeroPoint };
      const r = random(zeroPoint + 1);
      // Ties, what is beside them, and what lies outside.
      const values = Float32Array.from({ length: 800 }, (_, i) =>
        i % 2 === 0 ? (i / 2 - 200 + 0.5) * scale : (r.next() - 0.5) * 600 * scale,
      );
      const file = join(folder, 'x.npy');
      writeFileSync(file, floatNpy(values, 4));
      const expected = await quantizeLinear(values, type);
      expect(Array.from(readRows(type, file).bytes)).toEqual(expected);
      const text = join(folder, 'x.csv');
      const lines = Array.from({ length: values.length / 4 }, (_, i) =>
        values.slice(4 * i, 4 * i + 4).join(','),
      );
      writeFileSync(text, `${lines.join('\n')}\n`);
      expect(Array.from(readRows(type, text).bytes)).toEqual(expected);
    },
  );

  it('take whole numbers too, where the network reads reals, but for raw elements', () => {
    const type: TensorType = { element: 'uint8', shape: [2], scale: 0.5, zeroPoint: 3 };
    const [array, text, raw] = ['w.npy', 'w.csv', 'w.bin'].map((name) => join(folder, name));
    writeFileSync(array!, formatRows({ ...type }, array!, Uint8Array.of(1, 2, 3, 4)));
    writeFileSync(text!, '1,2\n3,4\n');
    writeFileSync(raw!, Uint8Array.of(1, 2, 3, 4));
    const read = (file: string, reals: boolean) => Array.from(readRows(type, file, { reals }).bytes);
    for (const file of [array!, text!]) {
      expect(read(file, true)).toEqual([5, 7, 9, 11]);
      expect(read(file, false)).toEqual([1, 2, 3, 4]);
    }
    expect(read(raw!, true)).toEqual([1, 2, 3, 4]);
  });

  it('says how many numbers were clamped, and refuses NaN by its place', () => {
    const type: TensorType = { element: 'uint8', shape: [2], scale: 0.5, zeroPoint: 0 };
    const file = join(folder, 'y.csv');
    writeFileSync(file, '1.0,-3\n200,127.5\n');
    const { bytes, diagnostics } = readRows(type, file);
    expect(Array.from(bytes)).toEqual([2, 0, 255, 255]);
    expect(diagnostics.map((d) => d.message)).toEqual([
      "2 of 4 numbers lie outside of the input's range 0..127.5 and are taken as its ends",
    ]);
    writeFileSync(file, '1.0,2\n3,nan\n');
    expect(() => readRows(type, file)).toThrow('row 2, column 2: NaN is no number');
  });
});
