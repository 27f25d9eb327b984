/** What `intransit deploy --watch` tells, one after the other, for tests that wait for something of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { WatchEvent } from '../../src/controller/index.ts';
import { cliArguments } from './io.ts';

type Kind = WatchEvent['event'];
type Of<K extends Kind> = Extract<WatchEvent, { event: K }>;

/** Events in the order they came; each is taken once, and those before it are gone with it. */
export class WatchEvents {
  readonly #events: WatchEvent[] = [];
  #arrived = (): void => {};

  readonly add = (event: WatchEvent): void => {
    this.#events.push(event);
    this.#arrived();
  };

  /** The next of a kind, of one device where it is named. */
  async next<K extends Kind>(kind: K, device?: string, timeoutMs = 20_000): Promise<Of<K>> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const at = this.#events.findIndex(
        (e) => e.event === kind && (device === undefined || ('device' in e && e.device === device)),
      );
      if (at >= 0) return this.#events.splice(0, at + 1).at(-1) as Of<K>;
      const left = end - performance.now();
      if (left <= 0)
        throw new Error(
          `no ${kind} of ${device ?? 'any'}; there were ${JSON.stringify(this.#events, bigints)}`,
        );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#arrived = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** What has come since the last that was taken. */
  get rest(): readonly WatchEvent[] {
    return this.#events;
  }
}

const bigints = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);

export interface WatchProcess {
  readonly events: WatchEvents;
  readonly child: ChildProcess;
  /** SIGTERM. @returns the exit code and what was said on stderr */
  stop(): Promise<{ readonly code: number | null; readonly err: string }>;
}

/** The command in a process of its own. */
export function spawnWatch(file: string, options: readonly string[] = []): WatchProcess {
  const argv = cliArguments(['deploy', file, '--watch', '--json', ...options]);
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  const events = new WatchEvents();
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  createInterface({ input: child.stdout }).on('line', (line) => events.add(JSON.parse(line) as WatchEvent));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return {
    events,
    child,
    async stop() {
      child.kill('SIGTERM');
      return { code: await ended, err };
    },
  };
}
