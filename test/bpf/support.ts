/** What the tests of the BPF runtime share: skipping aloud, compiled fixtures, network namespaces of their own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, inject } from 'vitest';
import {
  type BpfError,
  type BpfObject,
  type Feature,
  type OpenOptions,
  openObject,
} from '../../src/bpf/index.ts';
import { compileBpf } from '../../src/toolchain/clang.ts';

const results = inject('features');

/** Kernel and tools for loading programs. */
export const loading: readonly Feature[] = ['libbpf', 'privilege', 'xdp-program', 'clang'];

/** A suite that is skipped, with the reason in its title, on a machine that lacks one of the features. */
export function describeWith(features: readonly Feature[], title: string, body: () => void): void {
  const missing = results.find(
    (result) => features.includes(result.feature) && result.answer !== 'supported',
  );
  const reason = missing ? ` [SKIPPED: ${missing.feature} is ${missing.answer}: ${missing.reason}]` : '';
  if (missing) console.warn(title + reason);
  // Files may share the process, and this module.
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  afterAll(() => {
    compiled.clear();
    rmSync(scratch, { recursive: true, force: true });
  });
  describe.skipIf(missing !== undefined)(title + reason, body);
}

const PREFIX = 'itbpf';

/** A folder of the file of tests, which goes with it. */
export const scratch = join(tmpdir(), `${PREFIX}-${process.pid}-${randomUUID()}`);

const compiled = new Map<string, Promise<string>>();

/** Path of the object of `fixtures/NAME.bpf.c`, compiled once. */
export function fixture(name: string): Promise<string> {
  let object = compiled.get(name);
  if (!object) {
    const path = join(scratch, `${name}.bpf.o`);
    const source = join(import.meta.dirname, 'fixtures', `${name}.bpf.c`);
    object = compileBpf(source, path).then(() => path);
    compiled.set(name, object);
  }
  return object;
}

/** The error that a function or promise fails with. */
export async function failure(run: (() => unknown) | Promise<unknown>): Promise<BpfError> {
  try {
    await (typeof run === 'function' ? run() : run);
  } catch (error) {
    return error as BpfError;
  }
  throw new Error('it did not fail');
}

export function sh(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export interface Veth {
  /** Namespaces; interface `near` with 198.18.0.1 is in the first, `far` with 198.18.0.2 in the second. */
  readonly nearNs: string;
  readonly farNs: string;
  remove(): void;
}

/** Two namespaces joined by a veth pair; nothing of it is visible in the namespace of the host. */
export function createVeth(label: string): Veth {
  removeLeftovers();
  const nearNs = `${PREFIX}-${process.pid}-${label}-near`;
  const farNs = `${PREFIX}-${process.pid}-${label}-far`;
  const remove = () => {
    for (const ns of [nearNs, farNs]) removeNamespace(ns);
  };
  try {
    sh('ip', 'netns', 'add', nearNs);
    sh('ip', 'netns', 'add', farNs);
    sh('ip', '-n', nearNs, 'link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far', 'netns', farNs);
    sh('ip', '-n', nearNs, 'addr', 'add', '198.18.0.1/30', 'dev', 'near');
    sh('ip', '-n', farNs, 'addr', 'add', '198.18.0.2/30', 'dev', 'far');
    sh('ip', '-n', nearNs, 'link', 'set', 'near', 'up');
    sh('ip', '-n', farNs, 'link', 'set', 'far', 'up');
  } catch (error) {
    remove();
    throw error;
  }
  return { nearNs, farNs, remove };
}

/** What test processes that were killed have left: namespaces, and folders that may hold a mount. */
function removeLeftovers(): void {
  for (const ns of namespaces().filter(isLeftover)) removeNamespace(ns);
  for (const folder of readdirSync(tmpdir()).filter(isLeftover)) {
    const path = join(tmpdir(), folder);
    if (existsSync(join(path, 'bpffs'))) spawnSync('umount', [join(path, 'bpffs')]);
    rmSync(path, { recursive: true, force: true });
  }
}

function isLeftover(name: string): boolean {
  const pid = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1];
  return pid !== undefined && !isAlive(Number(pid));
}

function namespaces(): string[] {
  try {
    return readdirSync('/run/netns');
  } catch {
    return [];
  }
}

/** Tolerates that it is gone: another test file may clear the same leftovers. */
function removeNamespace(ns: string): void {
  spawnSync('ip', ['netns', 'del', ns]);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A fixture's object for the tests of a `describe`, loaded before them. @returns what gives it, in tests */
export function fixtureObject(name: string, options?: OpenOptions): () => BpfObject {
  let object: BpfObject | undefined;
  beforeAll(async () => {
    object = await openObject(await fixture(name), options);
  });
  afterAll(() => object?.close());
  return () => object!;
}
