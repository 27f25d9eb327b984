import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { refuse } from '../diagnostics/index.ts';
import { ensureFolder, type Lock, lockFile } from '../durable/index.ts';
import { P4RuntimeServer } from '../p4runtime/index.ts';
import type { DeviceEvent } from '../p4runtime/server/device-server.ts';
import type { PortState } from './interfaces.ts';
import {
  type AgentListen,
  defaultAddress,
  insecureWarning,
  listenFault,
  openDoor,
  RUN_FOLDER,
} from './listening.ts';
import { removeState } from './state-folder.ts';
import { removeDataPlane, XdpP4Device, type XdpP4DeviceOptions } from './xdp-p4-device.ts';

/** An operator's word to a running agent. */
export const RESET_SIGNAL = 'SIGUSR2';

const STATES = '/var/lib/intransit';

/** What an agent drives, where it listens, and where it keeps what it was told. */
export interface AgentOptions extends Omit<XdpP4DeviceOptions, 'stateFolder'> {
  readonly deviceId: bigint;
  /** Default: a socket that root alone can use, `/run/intransit/NAME.sock`. */
  readonly listen?: AgentListen;
  /** Default `/var/lib/intransit/NAME`. */
  readonly stateFolder?: string;
  /** Begin with nothing, whatever ran before. */
  readonly fresh?: boolean;
}

/** A running agent. */
export interface Agent {
  readonly address: string;
  /** Whether it goes on from an earlier process. */
  readonly restored: boolean;
  ports(): readonly PortState[];
  /** The data plane goes on. */
  close(): Promise<void>;
  /** Takes the data plane away too. */
  remove(): Promise<void>;
  /** Ends all streams of controllers, and forgets which election ids there were. */
  resetElections(): void;
}

/** Below /var/lib, so that a restart of the machine finds it. */
export const defaultStateFolder = (name: string): string => join(STATES, name);

/**
 * Starts the P4Runtime server of this host.
 * @throws BpfError; DiagnosticError `agent` where the name or the address is taken
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { name, log = () => {} } = options;
  const stateFolder = options.stateFolder ?? defaultStateFolder(name);
  const listen = options.listen ?? { address: defaultAddress(name) };
  const fault = listenFault(listen);
  if (fault !== undefined) refuse('agent', { reason: fault, remedy: 'see docs/agent.md' });
  const lock = lockName(name);
  let device: XdpP4Device | undefined;
  const server = new P4RuntimeServer();
  try {
    if (options.fresh) discard(name, stateFolder);
    device = new XdpP4Device({ ...options, stateFolder });
    const onEvent = (event: DeviceEvent): void => {
      const text = eventText(event);
      if (text !== undefined) log(text);
    };
    await server.addDevice(device, { deviceId: options.deviceId, onEvent });
    const restored = device.isRunning;
    const door = await openDoor(server, listen);
    const warning = insecureWarning(listen);
    if (warning !== undefined) log(warning);
    const running = device;
    let closed = false;
    const end = async (how: () => Promise<void>) => {
      if (closed) return;
      closed = true;
      await server.close();
      door.release();
      await how();
      lock.release();
    };
    return {
      address: door.address,
      restored,
      ports: () => running.ports(),
      close: () => end(() => running.close()),
      remove: () => end(() => running.detach()),
      resetElections: () => server.resetElections(),
    };
  } catch (error) {
    await server.close();
    await device?.close();
    lock.release();
    throw error;
  }
}

/**
 * Takes away what an agent of that name has left: program, pins and state.
 * @returns whether there was anything @throws DiagnosticError `agent` where it still runs
 */
export function removeAgent(name: string, stateFolder = defaultStateFolder(name)): boolean {
  const lock = lockName(name);
  try {
    return discard(name, stateFolder);
  } finally {
    lock.release();
  }
}

/**
 * Has the agent of that name forget which election ids there were.
 * @throws DiagnosticError `agent` where none runs
 */
export function resetElections(name: string): void {
  if (process.getuid?.() !== 0) refuse('needs-root', { what: 'resetting an agent' });
  const path = join(RUN_FOLDER, `${name}.lock`);
  const lock = existsSync(path) ? lockFile(path) : undefined;
  const pid = lock === undefined && existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
  lock?.release();
  if (pid < 1)
    refuse('agent', { reason: `no agent named ${name} runs`, remedy: 'see --name of the one that does' });
  process.kill(pid, RESET_SIGNAL);
}

function discard(name: string, stateFolder: string): boolean {
  const had = removeDataPlane(name);
  const kept = removeState(stateFolder);
  return had || kept;
}

function lockName(name: string): Lock {
  if (process.getuid?.() !== 0) refuse('needs-root', { what: 'running an agent' });
  ensureFolder(RUN_FOLDER, 0o755);
  const path = join(RUN_FOLDER, `${name}.lock`);
  const lock = lockFile(path);
  if (lock !== undefined) return lock;
  const pid = readFileSync(path, 'utf8').trim();
  return refuse('agent', {
    reason: `an agent named ${name} runs already (process ${pid})`,
    remedy: 'stop it first, or choose another --name',
  });
}

/** One line of the log; undefined for what is not worth one. */
function eventText(event: DeviceEvent): string | undefined {
  switch (event.kind) {
    case 'primary': {
      const role = event.role === '' ? '' : ` of role ${JSON.stringify(event.role)}`;
      return event.electionId === undefined
        ? `no primary${role}`
        : `primary${role}: election id ${event.electionId}`;
    }
    case 'pipeline':
      return `pipeline: ${event.action}, cookie 0x${(event.cookie ?? 0n).toString(16)}`;
    case 'write':
      return event.failed === 0 ? undefined : `write: ${event.failed} of ${event.updates} updates refused`;
  }
}
