import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { afterAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../src/temporary.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const readJson = (path: string): { dependencies: Record<string, string>; version: string } =>
  JSON.parse(readFileSync(join(root, path), 'utf8'));

interface Said {
  readonly status: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

/** Waits without holding up the process: what runs the tests wants to hear of it within a minute, on a busy machine too. */
const run = (command: string, args: readonly string[], cwd: string): Promise<Said> =>
  new Promise((resolve) =>
    execFile(command, args, { cwd }, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : error.code, stdout, stderr }),
    ),
  );

/** @returns what it printed */
async function done(command: string, args: readonly string[], cwd: string = root): Promise<string> {
  const { status, stdout, stderr } = await run(command, args, cwd);
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stdout}${stderr}`);
  return stdout;
}

/** An empty project into which the packed package is installed: what it depends on lies beside it, as npm would put it. */
const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());
const built = join(folder.path, 'built');
await done(join(root, 'scripts/package-p4runtime.sh'), [built]);
await done('npm', ['pack', '--silent', '--pack-destination', folder.path], built);
const tarball = join(folder.path, readdirSync(folder.path).find((file) => file.endsWith('.tgz'))!);
const modules = join(folder.path, 'node_modules');
const home = join(modules, 'p4runtime-js');
mkdirSync(home, { recursive: true });
await done('tar', ['-xzf', tarball, '-C', home, '--strip-components=1']);
for (const name of ['@grpc', 'protobufjs', 'long', '@types'])
  symlinkSync(join(root, 'node_modules', name), join(modules, name));
writeFileSync(join(folder.path, 'package.json'), '{ "type": "module" }');
writeFileSync(
  join(folder.path, 'program.p4info.txt'),
  readFileSync(join(root, 'test/p4runtime/fixtures/conformance.p4info.txt')),
);

const node = (...args: readonly string[]): Promise<string> => done(process.execPath, args, folder.path);
const status = (...args: readonly string[]): Promise<Said> => run(process.execPath, args, folder.path);
/** The compilers that users have: the one of JavaScript, and the native one, which takes a third of its time. */
const [tsc, nativeTsc] = ['typescript', 'typescript-native'].map((name) =>
  join(root, 'node_modules', name, 'bin/tsc'),
) as [string, string];
const strict = [
  '--noEmit',
  '--target',
  'es2022',
  '--strict',
  '--types',
  'node',
  '--exactOptionalPropertyTypes',
];

/** The examples of the README, one after the other. */
function examples(): string {
  const readme = readFileSync(join(home, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((m) => m[1]!);
  expect(blocks.length).toBe(4);
  return blocks.join('\n');
}

describe('the packed package in an empty project', () => {
  test('the README’s examples run as they stand', async () => {
    writeFileSync(join(folder.path, 'examples.mjs'), examples());
    expect((await node('examples.mjs')).trim().split('\n')).toEqual([
      'primary',
      "{ 'h.probe.b32': { value: 167772160n, prefix: 8 } }",
      '60',
      'write-failed 1',
      '1',
    ]);
  });

  test('import and require give the same names', async () => {
    writeFileSync(
      join(folder.path, 'require.cjs'),
      `const p4 = require('p4runtime-js');
const codec = p4.v1Codec('Uint128');
const back = codec.decode(codec.encode({ high: 2n ** 63n, low: 1n }));
console.log(back.high === 2n ** 63n, Object.keys(p4).sort().join());`,
    );
    writeFileSync(
      join(folder.path, 'import.mjs'),
      "import * as p4 from 'p4runtime-js';\nconsole.log(true, Object.keys(p4).sort().join());",
    );
    expect(await node('require.cjs')).toBe(await node('import.mjs'));
  });

  const uses = { node16: 'node16', nodenext: 'nodenext', bundler: 'esnext' } as const;
  test.each(Object.entries(uses))('its types resolve under %s', async (resolution, module) => {
    writeFileSync(join(folder.path, 'use.ts'), examples());
    writeFileSync(
      join(folder.path, 'wrong.ts'),
      "import { P4Client } from 'p4runtime-js';\nexport const wrong: string = new P4Client({ address: 1 });",
    );
    const said = async (file: string) =>
      (await status(nativeTsc, ...strict, '--module', module, '--moduleResolution', resolution, file)).stdout;
    expect(await said('use.ts')).toBe('');
    expect(await said('wrong.ts')).toContain('TS2322');
  });

  test('its bin prints types that compile', async () => {
    const bin = join(home, 'dist/bin.js');
    writeFileSync(join(folder.path, 'program.ts'), await node(bin, 'types', 'program.p4info.txt'));
    const all = ['--noUnusedLocals', '--noUncheckedIndexedAccess', '--noPropertyAccessFromIndexSignature'];
    const more = ['--isolatedModules', '--verbatimModuleSyntax', '--isolatedDeclarations', '--declaration'];
    const options = [...strict, ...all, ...more, '--module', 'nodenext', 'program.ts'];
    expect((await status(tsc, ...options)).stdout).toBe('');
    const codes = [await status(bin), await status(bin, 'types', 'absent'), await status(bin, '--help')];
    expect(codes.map((said) => said.status)).toEqual([2, 1, 0]);
    writeFileSync(join(folder.path, 'bad.txt'), 'tables { nonsense: 1 }');
    expect((await status(bin, 'types', 'bad.txt')).stderr).toMatch(/^bad\.txt: line 1: .*nonsense/);
  });

  test('publint finds nothing', async () => {
    const { messages } = await publint({ pkgDir: home, strict: true, pack: false });
    // The project has no public address yet.
    expect(messages.filter((m) => !m.code.startsWith('USE_') || m.type === 'error')).toEqual([]);
  });

  test('attw finds nothing', async () => {
    const analysis = await checkPackage(createPackageFromTarballData(readFileSync(tarball)));
    expect(analysis.types && 'problems' in analysis ? analysis.problems : ['no types']).toEqual([]);
  });
});

test('its dependencies are those of the project', () => {
  const [own, whole] = [readJson('src/p4runtime/package.json'), readJson('package.json')];
  expect(whole.dependencies).toMatchObject(own.dependencies);
  expect(own.version).toBe(whole.version);
});
