/**
 * Imports damaged model files, each in a process that is watched: `npm run attack:import -- [COUNT] [FROM]`. A fault is
 * anything but a model or a diagnostic: another exception, more than 2 s of CPU time, more than 512 MB.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { importBytes } from '../../src/import/index.ts';
import { hostileFile } from './import-mutations.ts';

const MOST_SECONDS = 2;
const MOST_MEGABYTES = 512;
const BATCH = 2000;

const [first, ...rest] = process.argv.slice(2);
if (first === '--batch') await batch(Number(rest[0]), Number(rest[1]), rest[2]!);
else await attack(Number(first ?? 100_000), Number(rest[0] ?? 0));

/** One process's share: says each file's number before it is imported, and in the end what became of them. */
async function batch(from: number, to: number, file: string): Promise<void> {
  const progress = openSync(file, 'w');
  const counts = { imported: 0, refused: 0 };
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
  console.log(`counts ${counts.imported} ${counts.refused}`);
}

async function attack(count: number, start: number): Promise<void> {
  const file = join(tmpdir(), `ittest-${process.pid}-progress`);
  const faults: string[] = [];
  let [imported, refused] = [0, 0];
  for (let from = start; from < start + count; ) {
    const to = Math.min(start + count, from + BATCH);
    const { lines, hungAt } = await runBatch(from, to, file);
    let next = to;
    for (const line of lines) {
      const [word, a, b] = line.split(' ');
      if (word === 'fault') faults.push(line);
      if (word === 'next') next = Number(a);
      if (word === 'counts') [imported, refused] = [imported + Number(a), refused + Number(b)];
    }
    if (hungAt !== undefined) {
      faults.push(`fault ${hungAt}: hangs or ends its process`);
      next = hungAt + 1;
    }
    from = next;
    process.stderr.write(
      `${from - start} of ${count}: ${imported} imported, ${refused} refused, ${faults.length} faults\n`,
    );
  }
  rmSync(file, { force: true });
  console.log(`files ${count}, imported ${imported}, refused ${refused}, faults ${faults.length}`);
  for (const fault of faults) console.log(fault);
  process.exitCode = faults.length > 0 ? 1 : 0;
}

/** The number of the file during which the process did not come to its end, if there is one. */
function runBatch(from: number, to: number, file: string): Promise<{ lines: string[]; hungAt?: number }> {
  const argv = [
    '--max-old-space-size=1024',
    '--import',
    'tsx',
    fileURLToPath(import.meta.url),
    '--batch',
    `${from}`,
    `${to}`,
    file,
  ];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString();
  });
  const watch = setInterval(() => {
    // CPU time, not that of the clock: the machine may do other work.
    if (child.pid !== undefined && hangs(child.pid, file)) child.kill('SIGKILL');
  }, 500);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearInterval(watch);
      const lines = out.split('\n');
      resolve(code === 0 ? { lines } : { lines, hungAt: at(file) ?? from });
    });
  });
}

const at = (file: string): number | undefined => {
  try {
    return Number(readFileSync(file, 'latin1'));
  } catch {
    return undefined;
  }
};

let seen: { readonly n: number | undefined; readonly ticks: number } = { n: undefined, ticks: 0 };

function hangs(pid: number, file: string): boolean {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
    const ticks = Number(fields[11]) + Number(fields[12]);
    const n = at(file);
    if (n !== seen.n) seen = { n, ticks };
    return (ticks - seen.ticks) / 100 > 2 * MOST_SECONDS;
  } catch {
    // It ended meanwhile.
    return false;
  }
}
