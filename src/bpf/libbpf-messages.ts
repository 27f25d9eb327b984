import { readCString } from './memory.ts';
import { libbpf, type Pointer } from './native.ts';

let hook: Pointer | undefined;
let collected: string[] = [];
let turns: Promise<unknown> = Promise.resolve();

/**
 * Runs a function while libbpf's warnings are collected, which tell of maps, relocations and ELF sections what no errno
 * tells. libbpf has one print hook for the process, so runs take turns; warnings of other loads may come in between.
 */
export function withMessages<T>(run: () => Promise<T>): Promise<{ result: T; messages: readonly string[] }> {
  const turn = turns.then(async () => {
    const lib = libbpf();
    // Never unregistered: a message of a load on another thread may still be on its way to it.
    hook ??= lib.registerPrint(collectWarning);
    collected = [];
    lib.setPrint(hook);
    try {
      return { result: await run(), messages: collected };
    } finally {
      lib.setPrint(null);
    }
  });
  // Whoever asked for the turn has its error; the next one has its turn all the same.
  turns = turn.catch(() => undefined);
  return turn;
}

/** A va_list argument is a pointer in the calling conventions of x86-64, arm64 and riscv64, so vsnprintf can take it. */
function collectWarning(level: number, format: Pointer, list: Pointer): number {
  if (level > 0) return 0;
  const text = Buffer.alloc(4096);
  libbpf().formatMessage(text, text.length, format, list);
  collected.push(
    readCString(text)
      .trim()
      .replace(/^libbpf: /, ''),
  );
  return 0;
}
