import { closeSync, openSync } from 'node:fs';
import { BpfError, KernelCallError, permissionError } from './errors.ts';
import { libbpf } from './native.ts';

const CLONE_NEWNET = 0x40000000;
const EPERM = 1;

/**
 * Runs a synchronous function with this thread in another network namespace: a name of `ip netns`, or a path such as
 * `/proc/PID/ns/net`. Nothing else of the process sees the change, because JavaScript runs on this thread alone and the
 * thread is back before the function's caller goes on.
 *
 * @throws BpfError `bpf-interface` (no such namespace), `bpf-permission`
 */
export function withNetns<T>(namespace: string, run: () => T): T {
  const path = namespace.includes('/') ? namespace : `/run/netns/${namespace}`;
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    enter(path, namespace);
    try {
      return run();
    } finally {
      if (libbpf().setns(home, CLONE_NEWNET) !== 0) leaveProcess();
    }
  } finally {
    closeSync(home);
  }
}

function enter(path: string, namespace: string): void {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    const remedy = 'ip netns list shows the namespaces';
    throw new BpfError('bpf-interface', `there is no network namespace "${namespace}"`, { remedy, cause });
  }
  try {
    if (libbpf().setns(fd, CLONE_NEWNET) === 0) return;
    const errno = libbpf().errno();
    if (errno === EPERM) throw permissionError(`enter network namespace "${namespace}"`);
    const remedy = 'pass the name or the path of a network namespace';
    throw new KernelCallError(`enter network namespace "${namespace}"`, errno, remedy, 'bpf-interface');
  } finally {
    closeSync(fd);
  }
}

/** A process whose main thread is stuck in another namespace would go on with the wrong interfaces: never go on. */
function leaveProcess(): never {
  process.stderr.write('cannot return to the network namespace of the process\n');
  process.abort();
}
