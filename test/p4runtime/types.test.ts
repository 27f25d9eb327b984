import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { run } from '../../src/cli/run.ts';
import { generateTypes } from '../../src/p4runtime/generate-types.ts';
import { conformanceP4Info, runTool, temporaryFolder } from './support/tools.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = temporaryFolder();
afterAll(() => folder.remove());

/** Compiles uses of the generated types, all at once: tsc reads the library for longer than them. @returns what it says of each */
async function compile<Name extends string>(uses: Record<Name, string>): Promise<Record<Name, string>> {
  const library = join(root, 'src/p4runtime/index.ts');
  const names = Object.keys(uses) as Name[];
  writeFileSync(join(folder.path, 'program.ts'), generateTypes(conformanceP4Info, library));
  writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}');
  for (const name of names)
    writeFileSync(
      join(folder.path, `${name}.ts`),
      `import { P4Program } from '${library}';
import type { Program } from './program.ts';
const p = new P4Program<Program>({});
const action = { name: 'forward', params: { port: 1 } } as const;
${uses[name]}
`,
    );
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      typeRoots: [join(root, 'node_modules/@types')],
      allowImportingTsExtensions: true,
      rewriteRelativeImportExtensions: false,
      incremental: false,
    },
    include: [],
    files: names.map((name) => `${name}.ts`),
  };
  writeFileSync(join(folder.path, 'tsconfig.json'), JSON.stringify(config));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { said } = await runTool(process.execPath, [tsc, '-p', folder.path], folder.path);
  // What belongs to no file of these is said of all.
  const of = (name: Name) => {
    const others = names.filter((other) => other !== name);
    return said
      .split(/^(?=\S)/m)
      .filter((message) => !others.some((other) => message.startsWith(`${other}.ts(`)))
      .join('');
  };
  return Object.fromEntries(names.map((name) => [name, of(name)])) as Record<Name, string>;
}

const WRONG = [
  `p.tableEntry({ table: 'smal', match: { 'h.probe.b8': 1 }, action });`,
  `p.tableEntry({ table: 'small', match: { 'h.probe.b9': 1 }, action });`,
  `p.tableEntry({ table: 'small', action });`,
  `p.tableEntry({ table: 'small', match: { 'h.probe.b8': 1 }, action: { name: 'set_two', params: { a: 1, b: 2 } } });`,
  `p.tableEntry({ table: 'small', match: { 'h.probe.b8': 1 }, action: { name: 'forward', params: { prt: 1 } } });`,
  `p.tableEntry({ table: 'small', match: { 'h.probe.b8': 1 }, action: { name: 'forward' } });`,
  `p.tableEntry({ table: 'exact16', match: { 'h.ethernet.ethertype': { value: 1, prefix: 3 } }, action });`,
  `p.counter('cell', 3);`,
  `p.packetOut(new Uint8Array(1), { egress: 1 });`,
];

describe('types from P4Info', () => {
  test('right uses compile, and each wrong name does not', async () => {
    const right = `p.tableEntry({ table: 'small', match: { 'h.probe.b8': 1 }, action });
p.tableEntry({ table: 'ConformanceIngress.acl', match: { 'h.probe.b32': { value: 1, mask: 1 } }, priority: 1, action: { name: 'drop' } });
p.tableEntry({ table: 'lpm32', match: { 'h.probe.b32': { value: 0, prefix: 8 } }, action });
p.tableEntry({ table: 'by_group', match: { 'h.probe.b8': 1 }, action: { group: 3 } });
p.defaultAction({ table: 'small', action: { name: 'drop' } });
p.counter('cells', 3);
p.packetOut(new Uint8Array(1), { egress_port: 1, tag: 2 });
export const id: number | undefined = p.member('members', 1, { name: 'forward', params: { port: 1 } }).actionProfileMember?.memberId;`;
    const said = await compile({ right, wrong: WRONG.join('\n') });
    expect(said.right).toBe('');
    const lines = new Set([...said.wrong.matchAll(/wrong\.ts\((\d+),/g)].map((m) => Number(m[1])));
    // The uses begin on the fifth line.
    expect([...lines].sort((a, b) => a - b)).toEqual(WRONG.map((_, i) => i + 5));
  });

  test('`intransit p4info types` prints them, and says what is wrong with a file', async () => {
    const said: string[] = [];
    const io = { out: (t: string) => said.push(t), err: (t: string) => said.push(t), interactive: false };
    const file = fileURLToPath(new URL('./fixtures/conformance.p4info.txt', import.meta.url));
    expect(await run(['p4info', 'types', file], io, '0')).toBe(0);
    expect(said.join('')).toBe(generateTypes(conformanceP4Info));
    expect(await run(['p4info', 'types', join(folder.path, 'absent')], io, '0')).toBe(1);
    writeFileSync(join(folder.path, 'bad.txt'), 'tables { nonsense: 1 }');
    expect(await run(['p4info', 'types', join(folder.path, 'bad.txt')], io, '0')).toBe(1);
    expect(said.at(-1)).toContain('line 1');
  });

  test('the same P4Info gives the same text', () => {
    expect(generateTypes(conformanceP4Info)).toBe(generateTypes(conformanceP4Info));
    expect(generateTypes(conformanceP4Info)).toContain("from 'p4runtime-js'");
  });
});
