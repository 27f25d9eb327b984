import { closeSync, fstatSync, openSync, rmSync, statSync } from 'node:fs';
import { libbpf } from './native.ts';

const LOCK_EX_NB = 2 | 4;

/**
 * A lock on a file, which is made and goes with it; it ends with this process, however that ends.
 * @returns what ends it; undefined where another process has it
 */
export function lockFile(path: string): (() => void) | undefined {
  for (;;) {
    const fd = openSync(path, 'a+');
    if (libbpf().flock(fd, LOCK_EX_NB) !== 0) {
      closeSync(fd);
      return undefined;
    }
    // Whoever had it may have removed the file between the two calls: then this lock is on no file any more.
    if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino)
      return () => {
        rmSync(path, { force: true });
        closeSync(fd);
      };
    closeSync(fd);
  }
}
