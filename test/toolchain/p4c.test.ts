import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { linkBmv2Json } from '../../src/toolchain/bmv2-json.ts';
import { CACHE_VARIABLE } from '../../src/toolchain/compile-cache.ts';
import { compileP4Program, P4C } from '../../src/toolchain/p4c.ts';
import { testFolder } from '../support/io.ts';

const action = (id: number, name: string, primitives: unknown[] = []) => ({
  id,
  name,
  primitives,
  runtime_data: [],
  source_info: { line: id },
});

const table = (...ids: number[]) => ({
  key: [{ name: 'slot', target: ['scratch', 'slot'] }],
  action_ids: ids,
});

const program = {
  program: '/somewhere/program.p4',
  actions: [
    action(0, 'layer_0', [{ op: 'assign' }]),
    action(1, 'no_weights'),
    action(2, 'layer_0'),
    action(3, 'no_weights'),
    action(4, 'other'),
  ],
  pipelines: [{ tables: [table(0, 1), table(2, 3), table(4)] }],
};

test('tables of the other slots get the body of the first, and nothing else changes its action', () => {
  const linked = JSON.parse(linkBmv2Json(JSON.stringify(program)));
  const ids = linked.pipelines[0].tables.map((t: { action_ids: number[] }) => t.action_ids);
  expect(ids).toEqual([[0, 1], [0, 3], [4]]);
  expect(linked.actions.map((a: { id: number }) => a.id)).toEqual([0, 1, 3, 4]);
});

test('neither the folder, nor places in the source, nor names of keys are left', () => {
  const text = linkBmv2Json(JSON.stringify(program));
  expect(text).not.toMatch(/somewhere|source_info|"slot"}/);
  expect(JSON.parse(text).program).toBe('program.p4');
  expect(JSON.parse(text).pipelines[0].tables[0].key).toEqual([{ name: '', target: ['scratch', 'slot'] }]);
});

/** Stands in for p4c: counts its calls, and copies the program, which is JSON already, to where it is told. */
const SCRIPT = `#!/bin/sh
echo run >> "$(dirname "$0")/calls"
while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done
cat "$1" > "$out"
`;

const folder = testFolder();
const before = { path: process.env.PATH, cache: process.env[CACHE_VARIABLE] };
const calls = () => readFileSync(join(folder, 'calls'), 'utf8').split('\n').length - 1;

beforeEach(() => {
  writeFileSync(join(folder, P4C), SCRIPT, { mode: 0o755 });
  writeFileSync(join(folder, 'calls'), '');
  process.env.PATH = `${folder}:${before.path}`;
});

afterEach(() => {
  process.env.PATH = before.path;
  process.env[CACHE_VARIABLE] = before.cache;
});

async function compile(text: string): Promise<string> {
  const json = join(folder, 'program.json');
  writeFileSync(join(folder, 'program.p4'), text);
  await compileP4Program(join(folder, 'program.p4'), json, 'test');
  return readFileSync(json, 'utf8');
}

test('p4c runs once for a program where a folder for its output is named', async () => {
  process.env[CACHE_VARIABLE] = join(folder, 'cache');
  const made = await compile(JSON.stringify(program));
  expect(await compile(JSON.stringify(program))).toBe(made);
  expect(calls()).toBe(1);
  await compile(JSON.stringify({ ...program, actions: [] }));
  expect(calls()).toBe(2);
  // Another build of p4c.
  writeFileSync(join(folder, P4C), `${SCRIPT}# another\n`, { mode: 0o755 });
  expect(await compile(JSON.stringify(program))).toBe(made);
  expect(calls()).toBe(3);
});

test('a program is known again by another name in its remarks, but not with another line', async () => {
  process.env[CACHE_VARIABLE] = join(folder, 'remarks');
  // What stands in for p4c takes the program as JSON, and remarks out of it.
  writeFileSync(join(folder, P4C), SCRIPT.replace('cat "$1"', 'grep -v "^ *//" "$1"'), { mode: 0o755 });
  const text = JSON.stringify(program, undefined, 1);
  const made = await compile(`// Layers 0..1 of one.\n${text}`);
  expect(await compile(`// Layers 0..1 of another.\n${text}`)).toBe(made);
  expect(calls()).toBe(1);
  await compile(`// Goes on in the next line \\\n${text}`);
  await compile(`${text}\n `);
  expect(calls()).toBe(3);
});

test('without a folder, or with one that cannot be, p4c runs every time', async () => {
  for (const name of ['', join(folder, P4C, 'no-folder')]) {
    process.env[CACHE_VARIABLE] = name;
    const had = calls();
    await compile(JSON.stringify(program));
    await compile(JSON.stringify(program));
    expect(calls() - had).toBe(2);
  }
});
