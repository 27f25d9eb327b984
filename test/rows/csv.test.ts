import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCsv, parseCsv } from '../../src/rows/csv.ts';
import { readNumbers } from '../../src/rows/numbers.ts';
import { testFolder } from '../support/io.ts';

const parse = (text: string, width: number, limit?: number) =>
  parseCsv(Buffer.from(text), 'x.csv', width, limit);
const rows = (text: string, width: number) => Array.from(parse(text, width).values);

it('a file of one line without end is told by its beginning', () => {
  const file = join(testFolder(), 'line.csv');
  writeFileSync(file, '1,'.repeat(70_000));
  truncateSync(file, 2 ** 30);
  const before = process.memoryUsage().rss;
  expect(() => readNumbers(file, [4], 'int8')).toThrow(/tolerated bytes|cells, the model reads 4/);
  expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 28);
});

describe('CSV', () => {
  it.each([
    ['commas', '1,2,3\n4,5,6\n'],
    ['semicolons', '1;2;3\n4;5;6\n'],
    ['tabs', '1\t2\t3\n4\t5\t6\n'],
    ['blanks, as numpy.savetxt', '1 2 3\n4 5 6\n'],
    ['aligned columns', '  1   2  3\n 4   5  6\n'],
    ['lines of remarks, as numpy.savetxt', '# a b, c\n1,2,3\n# more\n4,5,6\n'],
    ['a name behind a mark', '#a,b,c\n1,2,3\n4,5,6\n'],
    ['a separator behind the last number', '1,2,3,\n4,5,6,\n'],
    ['CRLF', '1,2,3\r\n4,5,6\r\n'],
    ['CR', '1,2,3\r4,5,6\r'],
    ['no line end', '1,2,3\n4,5,6'],
    ['names first', 'a,b,c\n1,2,3\n4,5,6\n'],
    ['names with commas in quotes', '"a, of b";"c";d\n1;2;3\n4;5;6\n'],
    ['quoted numbers', '"1","2","3"\n"4","5","6"\n'],
    ['blanks around', ' 1, 2 ,3\n4 ,5, 6 \n'],
    ['a mark of byte order', '\ufeff1,2,3\n4,5,6\n'],
    ['empty lines', '\n1,2,3\n\n4,5,6\n\n'],
    ['signs', '+1,2,3\n4,5,+6\n'],
  ])('reads %s', (_name, text) => {
    const table = parse(text, 3);
    expect(table.count).toBe(2);
    expect(table.whole).toBe(true);
    expect(Array.from(table.values)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('takes all numbers for reals if one has a point or an exponent', () => {
    expect(parse('1,2.0\n3,4\n', 2).whole).toBe(false);
    expect(parse('1e2,2\n', 2)).toMatchObject({ whole: false, count: 1 });
    expect(rows('-.5,1E-3\n', 2)).toEqual([-0.5, 0.001]);
  });

  it('reads the first rows only, names not counted', () => {
    expect(parse('a,b\n1,2\n3,4\nx,y\n', 2, 2).count).toBe(2);
    expect(parse('1,2\n3,4\n', 2, 1).values.length).toBeGreaterThanOrEqual(2);
  });

  it.each([
    ['a cell that is no number', 'a,b\n1,2\n3,x\n', 'row 2, column 2 (line 3) "x" is no number'],
    ['an empty cell', '1,2\n3,\n', 'row 2, column 2 (line 2) is empty'],
    ['a hexadecimal', '1,0x10\n', 'row 1, column 2 (line 1) "0x10" is no number'],
    ['a decimal comma', '1,5;2\n', 'row 1, column 1 (line 1) "1,5" is no number'],
    ['a row too short', '1,2,3\n4,5\n', 'row 2 (line 2) has 2 cells, the model reads 3'],
    ['a row too long', '1,2,3,4\n', 'row 1 (line 1) has 4 cells, the model reads 3'],
    ['a quote that does not end', '1,2\n"3,4\n', 'cannot be read as CSV'],
  ])('refuses %s', (_name, text, message) => {
    const width = message.includes('reads 3') ? 3 : 2;
    expect(() => parse(text, width)).toThrow(message);
  });

  it('reads what it wrote', () => {
    const width = 3;
    const table = fc.array(fc.integer({ min: -128, max: 255 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(table, (cells) => {
        const values = cells.flatMap((cell) => [cell, -cell | 0, 7]);
        const back = parse(formatCsv(values, width), width);
        expect(Array.from(back.values)).toEqual(values);
        expect(back.whole).toBe(true);
      }),
    );
  });

  it('reads the doubles that JavaScript prints', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true }), { minLength: 1 }), (values) => {
        const back = parse(formatCsv(values, 1), 1).values;
        // Text does not keep the sign of zero.
        expect(Array.from(back, (v) => v + 0)).toEqual(values.map((v) => v + 0));
      }),
    );
  });
});
