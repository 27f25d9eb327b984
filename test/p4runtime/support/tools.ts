import { execFile, execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseP4InfoText } from '../../../src/p4runtime/text-parse.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));

/** What p4c makes of `conformance.p4`; a test compares it with p4c where that is present. */
export const conformanceP4Info = parseP4InfoText(readFileSync(fixture('conformance.p4info.txt'), 'utf8'));

export function findTool(name: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const missing = ['simple_switch_grpc', 'p4c-bm2-ss'].filter((tool) => !findTool(tool));
export const haveBmv2 = missing.length === 0;
/** For titles of skipped tests. */
export const bmv2Reason = haveBmv2 ? '' : ` (skipped: ${missing.join(' and ')} not on the PATH)`;

export interface Compiled {
  readonly p4infoText: string;
  readonly deviceConfig: Buffer;
}

/** Compiles a fixture with p4c. */
export function compileFixture(name: string): Compiled {
  const directory = mkdtempSync(join(tmpdir(), 'p4runtime-test-'));
  try {
    const [info, json] = [join(directory, 'p4info.txt'), join(directory, 'program.json')];
    execFileSync('p4c-bm2-ss', ['--p4runtime-files', info, '-o', json, fixture(name)], { stdio: 'pipe' });
    return { p4infoText: readFileSync(info, 'utf8'), deviceConfig: readFileSync(json) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A port of the loopback that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new Error('no port')),
      );
    });
  });
}

/** A folder of this run's own, and what removes it. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'p4runtime-test-'));
  return { path, remove: () => existsSync(path) && rmSync(path, { recursive: true, force: true }) };
}

/** What a command wrote to its standard output, and whether it ended well; this process goes on meanwhile. */
export const runTool = (
  command: string,
  args: readonly string[],
  cwd?: string,
): Promise<{ readonly ok: boolean; readonly said: string }> =>
  new Promise((resolve) => {
    execFile(command, args, { cwd, timeout: 300_000, maxBuffer: 2 ** 26 }, (error, said) =>
      resolve({ ok: error === null, said }),
    );
  });
