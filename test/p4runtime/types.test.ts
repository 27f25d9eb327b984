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

/** Compiles a use of the generated types; returns what tsc says. */
async function compile(name: string, body: string): Promise<string> {
  const library = join(root, 'src/p4runtime/index.ts');
  writeFileSync(join(folder.path, 'program.ts'), generateTypes(conformanceP4Info, library));
  const use = `import { P4Program } from '${library}';
import type { Program } from './program.ts';
const p = new P4Program<Program>({});
const action = { name: 'forward', params: { port: 1 } } as const;
${body}
`;
  writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder.path, `${name}.ts`), use);
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      typeRoots: [join(root, 'node_modules/@types')],
      allowImportingTsExtensions: true,
      rewriteRelativeImportExtensions: false,
    },
    include: [],
    files: [`${name}.ts`],
  };
  writeFileSync(join(folder.path, `${name}.json`), JSON.stringify(config));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  return (await runTool(process.execPath, [tsc, '-p', join(folder.path, `${name}.json`)], folder.path)).said;
}

describe('types from P4Info', () => {
  test('right uses compile', async () => {
    const said = await compile(
      'right',
      `p.tableEntry({ table: 'small', match: { 'h.probe.b8': 1 }, action });
p.tableEntry({ table: 'ConformanceIngress.acl', match: { 'h.probe.b32': { value: 1, mask: 1 } }, priority: 1, action: { name: 'drop' } });
p.tableEntry({ table: 'lpm32', match: { 'h.probe.b32': { value: 0, prefix: 8 } }, action });
p.tableEntry({ table: 'by_group', match: { 'h.probe.b8': 1 }, action: { group: 3 } });
p.defaultAction({ table: 'small', action: { name: 'drop' } });
p.counter('cells', 3);
p.packetOut(new Uint8Array(1), { egress_port: 1, tag: 2 });
export const id: number | undefined = p.member('members', 1, { name: 'forward', params: { port: 1 } }).actionProfileMember?.memberId;`,
    );
    expect(said).toBe('');
  });

  test('each wrong name does not', async () => {
    const wrong = [
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
    const said = await compile('wrong', wrong.join('\n'));
    const lines = new Set([...said.matchAll(/wrong\.ts\((\d+),/g)].map((m) => Number(m[1])));
    // The uses begin on the fifth line.
    expect([...lines].sort((a, b) => a - b)).toEqual(wrong.map((_, i) => i + 5));
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
