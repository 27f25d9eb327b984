import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const SOURCES = join(import.meta.dirname, '../../src');

/** A handler that has no name for the error: it cannot tell it. */
const NAMELESS = /\bcatch \{|\.catch\(\(\) =>|\.on(?:ce)?\('error', \(\) =>/;
/** It says something else instead, or what it makes of it. */
const TELLS = /\b(?:throw|refuse\w*|invalid|bad|fail)\b/;
const COMMENT = /^\s*(?:\/\/|\/\*\*|\*)|\/\/ /;
/** So far above, without an empty line in between, a comment belongs to the handler. */
const NEAR = 9;

function unexplained(text: string): number[] {
  const lines = text.split('\n');
  return lines.flatMap((line, at) => {
    if (!NAMELESS.test(line)) return [];
    const after = line.includes('catch {') ? lines.slice(at + 1, lines.indexOf(endOf(line), at)) : [line];
    const before = lines.slice(Math.max(0, at - NEAR), at);
    const above = before.slice(before.lastIndexOf('') + 1);
    const isExplained =
      after.some((l) => TELLS.test(l) || COMMENT.test(l)) || above.some((l) => COMMENT.test(l));
    return isExplained ? [] : [at + 1];
  });
}

const endOf = (line: string): string => `${/^\s*/.exec(line)![0]}}`;

it('knows an error that is ignored in silence', () => {
  const silent = 'try {\n  work();\n} catch {\n  return undefined;\n}';
  expect(unexplained(silent)).toEqual([3]);
  expect(unexplained(silent.replace('{\n  return', '{\n  // Gone meanwhile.\n  return'))).toEqual([]);
  expect(unexplained(silent.replace('return undefined', "throw new Error('no JSON')"))).toEqual([]);
  expect(unexplained('  work.catch(() => {});')).toEqual([1]);
  expect(unexplained('  // Nobody waits for it.\n  work.catch(() => {});')).toEqual([]);
});

it('no error is ignored without a reason beside it', () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.ts'));
  expect(files.length).toBeGreaterThan(300);
  const found = files.flatMap((file) =>
    unexplained(readFileSync(join(SOURCES, file), 'utf8')).map((line) => `src/${file}:${line}`),
  );
  expect(found).toEqual([]);
});
