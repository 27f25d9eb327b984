/** A device of some ports in a namespace of its own, with a host behind each. All of it goes with the process. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { removeAgent } from '../../src/agent/index.ts';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { temporaryFolder } from '../../src/temporary.ts';
import { isAlive } from '../support/alive.ts';
import { RawSocket } from './raw-socket.ts';

const PREFIX = 'intransit-';
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' });

export interface HostPort {
  readonly port: number;
  /** Interface of the device. */
  readonly name: string;
  /** Namespace and interface of the host. */
  readonly hostNetns: string;
  readonly hostName: string;
  readonly socket: RawSocket;
}

export interface Network extends Disposable {
  readonly netns: string;
  /** Of agents: none else has it, and it is tidied up behind a process that was killed. */
  readonly agentName: string;
  readonly stateFolder: string;
  readonly ports: readonly HostPort[];
  /** Deletes an interface of the device and makes it again. */
  renew(port: number): void;
}

const open = new Set<Network>();
process.on('exit', () => {
  for (const network of open) network[Symbol.dispose]();
});

let count = 0;

export function layNetwork(ports: number): Network {
  sweep();
  const label = `${process.pid}-a${count++}`;
  const netns = `${PREFIX}${label}`;
  const agentName = `test-${label}`;
  const folder = temporaryFolder();
  const namespaces = [netns];
  ip('netns', 'add', netns);
  quiet(netns);
  const plug = (port: number): HostPort => {
    const hostNetns = `${netns}h${port}`;
    const name = `eth${port}`;
    ip('-n', netns, 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'h0', 'netns', hostNetns);
    ip('-n', netns, 'link', 'set', name, 'address', `02:00:00:00:0${port}:01`, 'up');
    ip('-n', hostNetns, 'link', 'set', 'h0', 'address', `02:00:00:00:0${port}:02`, 'up');
    return { port, name, hostNetns, hostName: 'h0', socket: new RawSocket(hostNetns, 'h0') };
  };
  const plugged: HostPort[] = [];
  for (let port = 1; port <= ports; port++) {
    const hostNetns = `${netns}h${port}`;
    ip('netns', 'add', hostNetns);
    namespaces.push(hostNetns);
    quiet(hostNetns);
    plugged.push(plug(port));
  }
  const network: Network = {
    netns,
    agentName,
    stateFolder: `${folder.path}/state`,
    ports: plugged,
    renew(port) {
      plugged[port - 1]!.socket[Symbol.dispose]();
      ip('-n', netns, 'link', 'del', `eth${port}`);
      plugged[port - 1] = plug(port);
    },
    [Symbol.dispose]() {
      open.delete(network);
      for (const p of plugged) p.socket[Symbol.dispose]();
      try {
        removeAgent(agentName, network.stateFolder);
      } finally {
        for (const name of namespaces) removeNamespace(name);
        folder[Symbol.dispose]();
      }
    },
  };
  open.add(network);
  return network;
}

/** No packets of its own: tests count them. */
function quiet(netns: string): void {
  const off = 'for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done';
  ip('netns', 'exec', netns, 'sh', '-c', `${off} 2>/dev/null; true`);
}

function removeNamespace(name: string): void {
  try {
    ip('netns', 'del', name);
  } catch {
    // Somebody else removed it.
  }
}

/** Namespaces and data planes of processes that were killed. */
function sweep(): void {
  for (const line of ip('netns', 'list').split('\n')) {
    const match = /^intransit-(\d+)-\w+/.exec(line);
    if (match !== null && !isAlive(Number(match[1]))) removeNamespace(match[0]);
  }
  for (const name of pinned()) {
    const match = /^test-(\d+)-/.exec(name);
    if (match === null || isAlive(Number(match[1]))) continue;
    try {
      removeAgent(name, `/nonexistent/${name}`);
    } catch (error) {
      // Its agent was a process of its own, and outlives it: that disturbs nobody.
      if (!(error instanceof DiagnosticError)) throw error;
    }
  }
}

function pinned(): string[] {
  try {
    return readdirSync('/sys/fs/bpf/intransit');
  } catch {
    return [];
  }
}
