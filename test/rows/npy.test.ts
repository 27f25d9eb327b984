import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { formatNpy, parseNpy } from '../../src/rows/npy.ts';

interface Case {
  readonly file: string;
  readonly shape: readonly number[];
  readonly values: readonly (number | string)[];
}

/** Recorded from NumPy by fixtures/make-npy.py. */
const recorded = JSON.parse(readFileSync(new URL('fixtures/npy.json', import.meta.url), 'utf8')) as {
  readonly cases: Readonly<Record<string, Case>>;
  readonly refused: Readonly<Record<string, string>>;
  readonly saved: Readonly<Record<string, { element: 'uint8' | 'int8'; shape: number[]; file: string }>>;
};

const bytesOf = (text: string) => Buffer.from(text, 'base64');

describe('.npy', () => {
  it.each(Object.entries(recorded.cases))('reads what NumPy writes: %s', (_name, { file, shape, values }) => {
    const array = parseNpy(bytesOf(file), 'x.npy');
    expect(array.shape).toEqual(shape);
    expect(Array.from(array.values)).toEqual(values.map(Number));
  });

  it('tells whole numbers from reals by their type', () => {
    const whole = (name: string) => parseNpy(bytesOf(recorded.cases[name]!.file), 'x.npy').whole;
    expect([whole('>i8'), whole('bool'), whole('<u1')]).toEqual([true, true, true]);
    expect([whole('<f2'), whole('>f4'), whole('f8 fortran')]).toEqual([false, false, false]);
  });

  it.each(Object.entries(recorded.refused))('refuses: %s', (_name, file) => {
    expect(() => parseNpy(bytesOf(file), 'x.npy')).toThrow(DiagnosticError);
  });

  it.each(Object.entries(recorded.saved))(
    'writes what NumPy writes: %s',
    (_name, { element, shape, file }) => {
      const data = Uint8Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i);
      expect(formatNpy(element, shape, data).toString('base64')).toBe(file);
    },
  );

  it('reads what it wrote', () => {
    const rows = fc.record({
      element: fc.constantFrom('uint8' as const, 'int8' as const),
      count: fc.integer({ min: 1, max: 5 }),
      shape: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
      seed: fc.integer(),
    });
    fc.assert(
      fc.property(rows, ({ element, count, shape, seed }) => {
        const dims = [count, ...shape];
        const length = dims.reduce((a, b) => a * b, 1);
        const data = Uint8Array.from({ length }, (_, i) => Math.imul(i + 1, seed) >>> 7);
        const back = parseNpy(formatNpy(element, dims, data), 'x.npy');
        expect(back.shape).toEqual(dims);
        expect(Uint8Array.from(back.values, (v) => v & 0xff)).toEqual(data);
      }),
    );
  });

  it('ends in a message, whatever the bytes', () => {
    const seeds = Object.values(recorded.cases).map(({ file }) => bytesOf(file));
    const damaged = fc.record({
      seed: fc.constantFrom(...seeds),
      at: fc.nat(200),
      byte: fc.nat(255),
      cut: fc.option(fc.nat(200)),
    });
    fc.assert(
      fc.property(damaged, ({ seed, at, byte, cut }) => {
        const bytes = Buffer.from(seed);
        if (at < bytes.length) bytes[at] = byte;
        try {
          parseNpy(cut === null ? bytes : bytes.subarray(0, cut), 'x.npy');
        } catch (error) {
          expect(error).toBeInstanceOf(DiagnosticError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
