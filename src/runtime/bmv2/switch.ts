import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { refuse } from '../../diagnostics/index.ts';
import { P4Client, P4RuntimeError } from '../../p4runtime/index.ts';
import { switchCommand } from './command.ts';
import type { Workspace } from './workspace.ts';

/** Id under which P4Runtime and the data plane address the switch. */
export const DEVICE_ID = 1;

/** Characters of the switch's output that are kept: the end says why it died. */
const LOG_TAIL = 16_000;

/** A switch that ends by itself is told at once; one on a machine that is busy may take long. */
const START_TIMEOUT_MS = 60_000;

/** Delays between attempts to reach a switch that is just starting. */
const RETRY_MS = [10, 100] as const;

/** A switch in a process of its own, with the client that is its primary. */
export interface RunningSwitch {
  readonly pid: number;
  readonly client: P4Client;
  /** gRPC target of P4Runtime. */
  readonly runtime: string;
  /** gRPC target of `p4.bm.DataplaneInterface`. */
  readonly dataplane: string;
  /** The end of what the switch has written. */
  log(): string;
  /** Why the process ended, if it has. */
  ended(): string | undefined;
  stop(): Promise<void>;
}

/**
 * Starts simple_switch_grpc without a program and waits until it answers as a P4Runtime device. Both its servers listen
 * on Unix sockets in the workspace: nobody else can reach them, and no port can be taken.
 */
export async function startSwitch({ directory, adopt }: Workspace): Promise<RunningSwitch> {
  const runtime = `unix:${join(directory, 'p4runtime.sock')}`;
  const dataplane = `unix:${join(directory, 'dataplane.sock')}`;
  const options = ['--no-p4', '--device-id', `${DEVICE_ID}`, '-L', 'off'];
  const addresses = ['--grpc-server-addr', runtime, '--dp-grpc-server-addr', dataplane];
  const [program, ...args] = switchCommand(options, addresses, true);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const state = watch(child);
  if (child.pid !== undefined) adopt(child.pid);

  const session = { deviceId: DEVICE_ID, timeoutMs: START_TIMEOUT_MS, backoffMs: RETRY_MS };
  const client = new P4Client({ address: runtime, ...session });
  const stop = async (): Promise<void> => {
    client.close();
    child.kill('SIGKILL');
    await state.end;
  };
  try {
    await Promise.race([client.connect(), failWhenEnded(state)]);
  } catch (error) {
    const summary = state.ended() ?? `not ready within ${START_TIMEOUT_MS / 1000} s`;
    await stop();
    if (!(error instanceof P4RuntimeError) && state.ended() === undefined) throw error;
    refuse('switch-failed', { summary: lastLine(state.log(), summary) }, {}, state.log());
  }
  return { pid: child.pid!, client, runtime, dataplane, log: state.log, ended: state.ended, stop };
}

interface Watched {
  readonly end: Promise<void>;
  log(): string;
  ended(): string | undefined;
}

function watch(child: ChildProcess): Watched {
  let log = '';
  let ended: string | undefined;
  const keep = (chunk: Buffer) => {
    log = (log + chunk.toString('utf8')).slice(-LOG_TAIL);
  };
  child.stdout!.on('data', keep);
  child.stderr!.on('data', keep);
  const end = new Promise<void>((resolve) => {
    child.on('error', (error) => {
      ended = `cannot be started: ${error.message}`;
      resolve();
    });
    child.on('exit', (code, signal) => {
      ended = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
      resolve();
    });
  });
  return { end, log: () => log, ended: () => ended };
}

async function failWhenEnded(state: Watched): Promise<never> {
  await state.end;
  throw new Error(state.ended());
}

/** The reason with the last thing that the switch said, which mostly names the cause. */
export function lastLine(log: string, reason: string): string {
  const said = log.trim().split('\n').at(-1);
  return said ? `${reason}: ${said}` : reason;
}
