import { allocate } from './memory.ts';
import { libbpf } from './native.ts';

const NOBODY = 65_534;
const [KEEP_CAPABILITIES, NO_NEW_PRIVILEGES] = [8, 38];
/** NET_ADMIN, PERFMON (without it the verifier guards against side channels, at a cost), BPF. */
const KEPT = [12, 38, 39] as const;
/** _LINUX_CAPABILITY_VERSION_3 */
const VERSION = 0x20080522;

/**
 * Leaves this process what it takes to load programs, and nothing else: no files of root's, no other process, no way back.
 * Capabilities are those of this thread alone; all others have none.
 * @throws Error where that is not permitted
 */
export function keepToLoad(): void {
  const lib = libbpf();
  const call = (what: string, result: number): void => {
    if (result !== 0) throw new Error(`cannot ${what} (errno ${lib.errno()})`);
  };
  call('keep capabilities', lib.prctl(KEEP_CAPABILITIES, 1, 0, 0, 0));
  process.setgroups?.([]);
  process.setgid?.(NOBODY);
  process.setuid?.(NOBODY);
  const header = allocate(8);
  header.bytes.writeUInt32LE(VERSION);
  const sets = allocate(24);
  // Effective and permitted, in two words of 32 each; inheritable stays empty.
  for (const capability of KEPT)
    for (const set of [0, 4]) {
      const at = 12 * Math.floor(capability / 32) + set;
      sets.bytes.writeUInt32LE((sets.bytes.readUInt32LE(at) | (1 << (capability % 32))) >>> 0, at);
    }
  call('drop capabilities', lib.capset(header.bytes, sets.bytes));
  call('give up new privileges', lib.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0));
}
