/** Agents as processes of their own, and traffic that goes on whatever happens to them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { cliArguments } from '../support/io.ts';
import type { Network } from './network.ts';
import type { RawSocket } from './raw-socket.ts';

export interface AgentProcess {
  readonly child: ChildProcess;
  readonly ready: { readonly address: string; readonly restored: boolean; readonly pid: number };
  readonly errors: () => string;
  /** @returns exit code, or the signal */
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | string | null>;
}

/** Of tests that failed half-way. */
const running = new Set<ChildProcess>();
export const killAgents = (): void => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
};
process.on('exit', killAgents);

export const agentArguments = (network: Network, ...more: string[]): string[] => [
  ...['agent', '--name', network.agentName, '--device-id', '1', '--json'],
  ...['--netns', network.netns, '--state', network.stateFolder],
  ...network.ports.flatMap(({ name, port }) => ['--interface', `${name}=${port}`]),
  ...more,
];

export async function spawnAgent(network: Network, ...more: string[]): Promise<AgentProcess> {
  const child = spawn(process.execPath, cliArguments(agentArguments(network, ...more)), {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  const ended = new Promise<number | string | null>((resolve) =>
    child.once('exit', (code, signal) => resolve(code ?? signal)),
  );
  const line = new Promise<string>((resolve) => createInterface(child.stdout).once('line', resolve));
  const first = await Promise.race([line, ended.then((code) => `ended with ${code}: ${errors}`)]);
  if (!first.startsWith('{')) throw new Error(first);
  return {
    child,
    ready: JSON.parse(first),
    errors: () => errors,
    async kill(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

export interface Traffic {
  readonly sent: number;
  readonly received: readonly Buffer[];
}

/** Sends frames, one after the other and again, until the work is done; then waits for the last to come. */
export async function during(
  work: Promise<unknown>,
  from: RawSocket,
  to: RawSocket,
  frames: (n: number) => Uint8Array,
): Promise<Traffic> {
  let done = false;
  const end = work.finally(() => {
    done = true;
  });
  end.catch(() => {});
  const received: Buffer[] = [];
  let sent = 0;
  while (!done) {
    for (let i = 0; i < 16; i++) from.send(frames(sent++));
    received.push(...to.receive());
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  received.push(...(await to.until(sent - received.length)));
  await end;
  return { sent, received };
}
