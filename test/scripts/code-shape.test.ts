import { expect, it } from 'vitest';
import { shapeOf } from '../../scripts/code-shape.ts';

const lines = (count: number): string => Array.from({ length: count }, (_, i) => `  run(${i});`).join('\n');
const long = (text: string): readonly string[] => shapeOf('a.ts', text).long;

it('names functions of more than 60 lines that give no reason', () => {
  expect(long(`function f() {\n${lines(58)}\n}\n`)).toEqual([]);
  expect(long(`\nfunction f() {\n${lines(59)}\n}\n`)).toEqual(['a.ts:2 has 61 lines']);
  expect(long(`const f = () => {\n${lines(59)}\n};\n`)).toEqual(['a.ts:1 has 61 lines']);
  expect(long(`class A {\n  m() {\n${lines(59)}\n  }\n}\n`)).toEqual(['a.ts:2 has 61 lines']);
  expect(long(`// Why not.\nfunction f() {\n${lines(59)}\n}\n`)).toEqual(['a.ts:2 has 61 lines']);
});

it('takes a reason before the function, at the beginning of its body, or around it', () => {
  expect(long(`/** Of f. */\n// Long: a list.\nfunction f() {\n${lines(59)}\n}\n`)).toEqual([]);
  expect(long(`function f() {\n  // Long: a list.\n${lines(59)}\n}\n`)).toEqual([]);
  expect(long(`// Long: a list.\nconst f = { g() {\n${lines(59)}\n} };\n`)).toEqual([]);
  expect(long(`// Long:\nfunction f() {\n${lines(59)}\n}\n`)).toEqual(['a.ts:2 has 61 lines']);
});

it('names exports without a docstring', () => {
  const text = [
    '/** Of a. */',
    'export const a = 1;',
    '// Of b.',
    'export const b = 2;',
    'export interface C {}',
    'const d = 3;',
    "export { d } from './d.ts';",
    '/** Of e. */',
    '// Long: a list.',
    'export function e() {}',
  ].join('\n');
  expect(shapeOf('a.ts', text).bare).toEqual(['a.ts:4', 'a.ts:5']);
});

it('takes a docstring to be of what stands right below it, and the first signature to speak for all', () => {
  const text = [
    '/** Of the file. */',
    '',
    'export const a = 1;',
    '/** Of b. */',
    'export function b(x: 1): 1;',
    'export function b(x: 2): 2;',
    'export function b(x: 1 | 2): 1 | 2 { return x; }',
    'export function c() {}',
  ].join('\n');
  expect(shapeOf('a.ts', text).bare).toEqual(['a.ts:3', 'a.ts:8']);
});
