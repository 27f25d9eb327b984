/** Namespaces joined by veth pairs, for scenes of whole networks. All of it goes with the process. */
import { execFileSync } from 'node:child_process';

/** One end of a wire. */
export interface Plug {
  /** Role of the namespace. */
  readonly in: string;
  readonly name: string;
  readonly mac: string;
  /** An end of a host has one. */
  readonly ip?: string;
}

const ip = (...args: string[]): string =>
  execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

const open = new Set<Wires>();
process.on('exit', () => {
  for (const wires of open) wires[Symbol.dispose]();
});

let count = 0;

/** The namespaces of one scene; their names carry the process, by which others sweep behind one that was killed. */
export class Wires implements Disposable {
  readonly label = `${process.pid}-s${count++}`;
  readonly #made = new Set<string>();

  constructor() {
    open.add(this);
  }

  /** The name of a namespace by its role; made when it is asked for first. */
  namespace(role: string): string {
    const name = `intransit-${this.label}${role}`;
    if (this.#made.has(name)) return name;
    ip('netns', 'add', name);
    this.#made.add(name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
    const off = 'for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done';
    this.inside(role, 'sh', '-c', `${off} 2>/dev/null; true`);
    return name;
  }

  inside(role: string, ...command: string[]): string {
    return ip('netns', 'exec', this.namespace(role), ...command);
  }

  join(a: Plug, b: Plug): void {
    const [nsA, nsB] = [this.namespace(a.in), this.namespace(b.in)];
    ip('-n', nsA, 'link', 'add', a.name, 'type', 'veth', 'peer', 'name', b.name, 'netns', nsB);
    for (const [end, ns] of [
      [a, nsA],
      [b, nsB],
    ] as const) {
      ip('-n', ns, 'link', 'set', end.name, 'address', end.mac);
      if (end.ip !== undefined) ip('-n', ns, 'addr', 'add', `${end.ip}/24`, 'dev', end.name);
      // Devices see whole packets: with checksums, and each by itself.
      this.inside(end.in, 'ethtool', '-K', end.name, ...OFFLOADS.flatMap((o) => [o, 'off']));
      ip('-n', ns, 'link', 'set', end.name, 'up');
    }
  }

  /** Who has an address, for a host that nobody answers there. */
  neighbour(role: string, name: string, address: string, mac: string): void {
    const at = ['lladdr', mac, 'dev', name, 'nud', 'permanent'];
    ip('-n', this.namespace(role), 'neigh', 'replace', address, ...at);
  }

  /** @param state `down` cuts the wire */
  set(role: string, name: string, state: 'up' | 'down'): void {
    ip('-n', this.namespace(role), 'link', 'set', name, state);
  }

  [Symbol.dispose](): void {
    open.delete(this);
    for (const name of this.#made) {
      try {
        ip('netns', 'del', name);
      } catch {
        // Somebody else removed it.
      }
    }
    this.#made.clear();
  }
}

const OFFLOADS = ['tx', 'rx', 'sg', 'tso', 'gso', 'gro'];
