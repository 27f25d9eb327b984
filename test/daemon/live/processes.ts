/** Programs of a scene, each a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';

/** Of scenes that ended half-way. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A program that says a line when it is ready. */
export class Program {
  readonly child: ChildProcess;
  readonly #lines: Interface;
  readonly #ended: Promise<string>;
  #said = '';

  /** @param namespace in which it runs; default that of this process */
  constructor(
    command: readonly string[],
    { namespace, env }: { readonly namespace?: string; readonly env?: Readonly<Record<string, string>> } = {},
  ) {
    const [first, ...rest] =
      namespace === undefined ? command : ['ip', 'netns', 'exec', namespace, ...command];
    this.child = spawn(first!, rest, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    running.add(this.child);
    this.child.stderr!.on('data', (text) => {
      this.#said = (this.#said + text).slice(-4000);
    });
    this.#lines = createInterface({ input: this.child.stdout! });
    // One that was killed is not to end its scene with an EPIPE.
    this.child.stdin!.on('error', () => {});
    this.#ended = once(this.child, 'exit').then(([code, signal]) => {
      running.delete(this.child);
      return `${command.slice(0, 4).join(' ')} ended with ${code ?? signal}: ${this.#said}`;
    });
  }

  get isRunning(): boolean {
    return running.has(this.child);
  }

  /** The next line that it says. @throws where it ends before */
  async line(): Promise<string> {
    const ended = this.#ended.then((why) => {
      throw new Error(why);
    });
    const [line] = (await Promise.race([once(this.#lines, 'line'), ended])) as [string];
    ended.catch(() => {});
    return line;
  }

  tell(line: string): void {
    this.child.stdin!.write(`${line}\n`);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.isRunning) return;
    this.child.kill(signal);
    await this.#ended;
  }
}
