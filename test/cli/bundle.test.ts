import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { testFolder } from '../support/io.ts';

const folder = testFolder();
const built = existsSync('dist/bundle/agent.cjs');

describe.skipIf(!built)(`the built command line${built ? '' : ' [SKIPPED: npm run build]'}`, () => {
  // Of its own, so that what is taken away is missed by nobody.
  if (built) {
    cpSync('dist', join(folder, 'dist'), { recursive: true });
    for (const name of [
      'package.json',
      'node_modules',
      'templates',
      'ebpf',
      'p4',
      'page',
      'gallery',
      'examples',
    ])
      symlinkSync(join(process.cwd(), name), join(folder, name));
  }
  const bundle = (name: string) => join(folder, 'dist/bundle', name);
  const commands = [
    ['agent', '--reset-elections', 'none'],
    ['agent', '--name', 'x'],
    ['inspect', 'examples/digits-mlp.onnx', '--target', 'xdp', '--json'],
    ['features', 'traffic-16', '--pcap', '/dev/null', '-o', '/dev/null'],
    ['--help'],
  ];
  interface Outcome {
    readonly status: number;
    readonly stdout: string;
    readonly stderr: string;
  }
  const outcome = (argv: readonly string[]) =>
    new Promise<Outcome>((resolve) => {
      const main = join(folder, 'dist/cli/main.js');
      const node = ['--preserve-symlinks', '--preserve-symlinks-main', main, ...argv];
      execFile(process.execPath, node, (error, stdout, stderr) =>
        resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
      );
    });
  const outcomes = () => Promise.all(commands.map(outcome));

  it('does the same as one file, without the code cache, with a damaged one, and as modules', async () => {
    const whole = await outcomes();
    expect(whole.map(({ status }) => status)).toEqual([1, 2, 0, 1, 0]);
    expect(JSON.parse(whole[2]!.stdout).layers.length).toBeGreaterThan(0);
    rmSync(bundle('agent.cjs.cache'));
    writeFileSync(bundle('program.cjs.cache'), 'no code of V8');
    expect(await outcomes()).toEqual(whole);
    rmSync(bundle('.'), { recursive: true });
    mkdirSync(bundle('.'));
    expect(await outcomes()).toEqual(whole);
  }, 300_000);

  it('comes with the licences of what is in it', () => {
    expect(existsSync('dist/bundle/LICENSES.txt')).toBe(true);
  });
});
