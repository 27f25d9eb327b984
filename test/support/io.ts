import { type ChildProcess, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { Io } from '../../src/cli/io.ts';
import { type ExitCode, run } from '../../src/cli/run.ts';
import { atFileEnd } from './at-end.ts';

export interface Outcome {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line, in this process. */
export async function intransit(...argv: string[]): Promise<Outcome> {
  let out = '';
  let err = '';
  const io: Io = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    interactive: false,
  };
  const code = await run(argv, io, '0.0.0-test');
  return { code, out, err };
}

/** A folder that goes with the test file; its name is not one that the program itself clears. */
export function testFolder(): string {
  const path = mkdtempSync(join(tmpdir(), `ittest-${process.pid}-`));
  atFileEnd(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Arguments of node that run the command line. */
export const cliArguments = (argv: readonly string[]): string[] => [...inject('commandLine'), ...argv];

/** Runs one command line in a process of its own. */
export const spawnIntransit = (
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): SpawnSyncReturns<string> =>
  spawnSync(process.execPath, cliArguments(argv), {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });

/** A command line that runs on in a process of its own. */
export interface RunningIntransit {
  readonly child: ChildProcess;
  /** With the exit code, or null where a signal ended it. */
  readonly ended: Promise<number | null>;
  out(): string;
  err(): string;
  /** Waits until it has said something on stderr. @throws where it ends first */
  says(what: string): Promise<void>;
}

/** Starts one command line in a process of its own. */
export function startIntransit(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningIntransit {
  const child = spawn(process.execPath, cliArguments(argv), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (text) => {
    out += text;
  });
  child.stderr.on('data', (text) => {
    err += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return {
    child,
    ended,
    out: () => out,
    err: () => err,
    says: (what) =>
      new Promise((resolve, reject) => {
        const look = () => err.includes(what) && resolve();
        child.stderr.on('data', look);
        look();
        void ended.then(() => reject(new Error(`it ended: ${err}`)));
      }),
  };
}
