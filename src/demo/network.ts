import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { refuse } from '../diagnostics/index.ts';
import { ensureFolder, lockFile } from '../durable/index.ts';

/** One end of the cable. */
export interface Host {
  readonly namespace: string;
  readonly device: string;
  readonly ip: string;
  readonly mac: string;
}

/** Two network namespaces joined by a veth pair. */
export interface Cable extends Disposable {
  readonly edge: Host;
  readonly device: Host;
}

const PREFIX = 'intransit-';
const ROLES = ['edge', 'device'] as const;

/** A file for each cable, locked as long as its process runs. Like the namespaces it does not outlive the machine. */
const RECORDS = '/run/intransit/netns';

/** Cables of this process that are still there. */
const open = new Set<Cable>();
process.on('exit', () => {
  for (const cable of open) cable[Symbol.dispose]();
});

/**
 * Makes the namespaces; they go when the cable is disposed of, at the latest when the process ends; if it is killed,
 * with the next cable that anybody makes.
 * @throws DiagnosticError without root or without iproute2
 */
export function layCable(): Cable {
  ip('netns', 'list');
  sweep();
  const label = `${process.pid}-${randomBytes(3).toString('hex')}`;
  ensureFolder(RECORDS, 0o755);
  const record = lockFile(join(RECORDS, label));
  const host = (role: (typeof ROLES)[number], n: number): Host => ({
    namespace: namespaceOf(label, role),
    device: 'veth0',
    ip: `10.77.0.${n}`,
    mac: `02:00:00:00:77:0${n}`,
  });
  const edge = host('edge', 1);
  const device = host('device', 2);
  const cable: Cable = {
    edge,
    device,
    [Symbol.dispose]() {
      open.delete(cable);
      for (const h of [edge, device]) remove(h.namespace);
      record?.release();
    },
  };
  open.add(cable);
  for (const h of [edge, device]) ip('netns', 'add', h.namespace);
  ip(
    'link',
    'add',
    edge.device,
    'netns',
    edge.namespace,
    'type',
    'veth',
    'peer',
    'name',
    device.device,
    'netns',
    device.namespace,
  );
  for (const [h, peer] of [
    [edge, device],
    [device, edge],
  ] as const) {
    const inside = (...args: string[]) => ip('-n', h.namespace, ...args);
    inside('link', 'set', h.device, 'address', h.mac);
    inside('addr', 'add', `${h.ip}/24`, 'dev', h.device);
    inside('link', 'set', h.device, 'up');
    inside('link', 'set', 'lo', 'up');
    inside('neigh', 'replace', peer.ip, 'lladdr', peer.mac, 'dev', h.device, 'nud', 'permanent');
  }
  return cable;
}

function ip(...args: string[]): string {
  try {
    return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    if (code === 'ENOENT') refuse('missing-tool', { tool: 'ip', install: 'apt-get install iproute2' });
    if (process.getuid?.() !== 0) refuse('needs-root', { what: 'making network namespaces' });
    return refuse('tool-failed', { tool: `ip ${args.join(' ')}`, summary: stderr?.trim() ?? 'no message' });
  }
}

function remove(namespace: string): void {
  try {
    execFileSync('ip', ['netns', 'del', namespace], { stdio: 'ignore' });
  } catch {
    // It was never made, or somebody else removed it.
  }
}

const namespaceOf = (label: string, role: (typeof ROLES)[number]): string => `${PREFIX}${label}-${role}`;

/** Removes the namespaces of processes that were killed: of those on record that nobody holds. */
function sweep(): void {
  try {
    for (const label of readdirSync(RECORDS)) {
      const record = lockFile(join(RECORDS, label));
      if (record === undefined) continue;
      for (const role of ROLES) remove(namespaceOf(label, role));
      record.release();
    }
  } catch {
    // There are no records, or they stay for the next run.
  }
}
