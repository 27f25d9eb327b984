/**
 * One process's share of the damaged models: `import-batch.ts FROM TO FILE`. A fault is anything but a model or a diagnostic:
 * another exception, more than 2 s of processor time, more than 512 MB.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { importBytes } from '../../src/import/index.ts';
import { hostileFile } from './import-mutations.ts';

const MOST_SECONDS = 2;
const MOST_MEGABYTES = 512;

const [from, to, file] = process.argv.slice(2);
await batch(Number(from), Number(to), file!);

/** Says each file's number before it is imported, and in the end what became of them. */
async function batch(from: number, to: number, file: string): Promise<void> {
  const progress = openSync(file, 'w');
  const counts = { imported: 0, refused: 0 };
  let longestMs = 0;
  const idle = process.resourceUsage().maxRSS;
  for (let n = from; n < to; n++) {
    writeSync(progress, String(n).padEnd(12), 0);
    const { format, bytes } = hostileFile(n);
    const start = process.cpuUsage();
    try {
      await importBytes(bytes, `hostile.${format}`);
      counts.imported++;
    } catch (error) {
      if (error instanceof DiagnosticError) counts.refused++;
      else
        console.log(
          `fault ${n} ${format}: ${error instanceof Error ? error.stack?.split('\n').slice(0, 4).join(' | ') : error}`,
        );
    }
    const { user, system } = process.cpuUsage(start);
    longestMs = Math.max(longestMs, Math.round((user + system) / 1000));
    if (user + system > MOST_SECONDS * 1e6)
      console.log(`fault ${n} ${format}: took ${(user + system) / 1e6} s`);
    const megabytes = (process.resourceUsage().maxRSS - idle) / 1024;
    if (megabytes > MOST_MEGABYTES) {
      console.log(`fault ${n} ${format}: took ${Math.round(megabytes)} MB`);
      console.log(`next ${n + 1}`);
      break;
    }
  }
  closeSync(progress);
  console.log(`counts ${counts.imported} ${counts.refused} ${longestMs}`);
}
