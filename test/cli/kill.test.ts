import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { layCable } from '../../src/demo/network.ts';
import { CACHE_VARIABLE } from '../../src/toolchain/compile-cache.ts';
import { cliArguments, spawnIntransit, startIntransit, testFolder } from '../support/io.ts';
import { describeWith, loading } from '../support/machine.ts';
import { random } from '../support/random.ts';

const folder = testFolder();
/** Compilers run, so that they can be met at their work. */
const env = { TMPDIR: folder, [CACHE_VARIABLE]: '' };
const compile = (dir: string) => ['compile', 'examples/digits-cnn.onnx', '-o', dir, '--target', 'xdp'];

/** Starts a command line and kills it after so many milliseconds. */
async function killed(argv: readonly string[], ms: number): Promise<void> {
  const child = spawn(process.execPath, cliArguments(argv), {
    stdio: 'ignore',
    env: { ...process.env, ...env },
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await new Promise((resolve) => setTimeout(resolve, ms));
  child.kill('SIGKILL');
  await ended;
}

/** A directory that is there is whole. */
function expectWhole(dir: string): void {
  if (!existsSync(dir)) return;
  const names = readdirSync(dir);
  expect(names).toEqual(expect.arrayContaining(['manifest.json', 'program.c', 'program.o', 'weights.bin']));
  expect(() => JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8'))).not.toThrow();
}

const leftovers = () =>
  readdirSync(folder).filter((name) => name.startsWith('.') || name.startsWith('intransit-'));

describeWith(loading, 'SIGKILL', () => {
  it('of compile: the directory is whole or absent, and the next run clears up', async () => {
    const r = random(5);
    const dir = join(folder, 'compiled');
    for (let i = 0; i < 10; i++) {
      await killed(compile(dir), 500 + r.int(0, 1200));
      expectWhole(dir);
    }
    expect(spawnIntransit(compile(dir), env).status).toBe(0);
    expectWhole(dir);
    expect(leftovers()).toEqual([]);
  });

  it('of verify: the next run clears the folders', async () => {
    const verify = ['verify', 'examples/digits-mlp.onnx', '--input', 'examples/digits-mlp.x.bin'];
    for (const ms of [700, 850, 1000]) await killed(verify, ms);
    expect(spawnIntransit(verify, env).status).toBe(0);
    expect(leftovers()).toEqual([]);
  });

  it('of demo: the next run clears the namespaces', async () => {
    const { child, ended, says } = startIntransit(['demo'], env);
    await says('sending');
    child.kill('SIGKILL');
    await ended;
    expect(namespacesOf(child.pid!)).toHaveLength(2);
    layCable()[Symbol.dispose]();
    expect(namespacesOf(child.pid!)).toEqual([]);
  });

  it('SIGTERM of demo leaves nothing behind', async () => {
    const { child, ended, says } = startIntransit(['demo'], env);
    await says('sending');
    child.kill('SIGTERM');
    expect(await ended).toBe(143);
    expect(namespacesOf(child.pid!)).toEqual([]);
    expect(leftovers().filter((name) => name.includes(`-${child.pid}-`))).toEqual([]);
  });
});

const namespacesOf = (pid: number): string[] =>
  execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.startsWith(`intransit-${pid}-`));
