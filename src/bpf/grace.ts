/** Waiting for programs that are running. */
import { KernelCallError } from './errors.ts';
import { callAsync, libbpf } from './native.ts';

const MEMBARRIER = process.arch === 'x64' ? 324 : 283;
const MEMBARRIER_CMD_GLOBAL = 1;

/**
 * Returns when every program that was running at the call has ended: what is written then, no packet that saw the state
 * before can see. MEMBARRIER_CMD_GLOBAL waits for an RCU grace period, and XDP programs run inside of RCU read sections.
 * Some ms.
 * @throws KernelCallError on kernels without it: those booted with nohz_full, which offer no such wait
 */
export function waitForPrograms(): void {
  check(libbpf().syscall(MEMBARRIER, MEMBARRIER_CMD_GLOBAL, 0, 0));
}

/** The same, while the event loop goes on. */
export async function programsEnded(): Promise<void> {
  check(await callAsync(libbpf().syscall, MEMBARRIER, MEMBARRIER_CMD_GLOBAL, 0, 0));
}

function check(result: number): void {
  if (result === 0) return;
  // On another thread errno is lost; there is only one reason.
  throw new KernelCallError('wait for running programs (membarrier)', 22, 'boot without nohz_full');
}
