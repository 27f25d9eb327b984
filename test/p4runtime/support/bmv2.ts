import { type ChildProcess, spawn } from 'node:child_process';
import { Rpc } from '../../../src/p4runtime/rpc.ts';
import { switchCommand } from '../../../src/runtime/bmv2/command.ts';
import { freePort } from './tools.ts';

/** A simple_switch_grpc of one test. */
export interface Switch {
  readonly address: string;
  readonly deviceId: number;
  /** Waits until it answers as a P4Runtime device. */
  ready(timeoutMs?: number): Promise<void>;
  /** The end of what it wrote. */
  log(): string;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface SwitchOptions {
  readonly port?: number;
  readonly deviceId?: number;
  /** Arguments behind `--`. */
  readonly target?: readonly string[];
}

/** Starts a switch without a program on a free port of the loopback. Readiness is the client's to find out. */
export async function startSwitch(options: SwitchOptions = {}): Promise<Switch> {
  const port = options.port ?? (await freePort());
  const deviceId = options.deviceId ?? 1;
  const address = `127.0.0.1:${port}`;
  const own = ['--no-p4', '--device-id', `${deviceId}`, '-L', 'off'];
  const [program, ...args] = switchCommand(own, ['--grpc-server-addr', address, ...(options.target ?? [])]);
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let log = '';
  const keep = (chunk: Buffer): void => {
    log = (log + chunk.toString('utf8')).slice(-8_000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    address,
    deviceId,
    log: () => log,
    async ready(timeoutMs = 20_000) {
      const until = Date.now() + timeoutMs;
      for (;;) {
        const rpc = new Rpc({ address });
        try {
          await rpc.capabilities({}, 1_000);
          return;
        } catch (error) {
          if (Date.now() > until)
            throw new Error(`the switch is not ready; it said: ${log}`, { cause: error });
          await new Promise((resolve) => setTimeout(resolve, 50));
        } finally {
          rpc.close();
        }
      }
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
      running.delete(child);
    },
  };
}
