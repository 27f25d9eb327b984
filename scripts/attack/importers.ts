import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Attack, MOST_FAULTS } from './attack.ts';

const FILES = 10_000;
const BATCH = 2000;
/** Processor time in one file after which its process is ended. */
const HANGS_SECONDS = 4;

/** Damaged and hostile models, each in a process that is watched. */
export const importers: Attack = {
  name: 'damaged models, import',
  what: 'anything but a model or a refusal, or one that takes longer than 2 s or 512 MB',
  async run({ seed, scale }) {
    const folder = mkdtempSync(join(tmpdir(), 'itattack-'));
    const file = join(folder, 'progress');
    const figures = { files: Math.round(FILES * scale), imported: 0, refused: 0, longestMs: 0 };
    const faults: string[] = [];
    // The seed says where in the endless row of files this begins.
    const start = (seed - 1) * FILES;
    const end = start + figures.files;
    try {
      for (let from = start; from < end; ) {
        const to = Math.min(end, from + BATCH);
        const { lines, hungAt } = await runBatch(from, to, file);
        let next = to;
        for (const line of lines) {
          const [word, a, b, c] = line.split(' ');
          if (word === 'fault') faults.push(line);
          if (word === 'next') next = Number(a);
          if (word !== 'counts') continue;
          figures.imported += Number(a);
          figures.refused += Number(b);
          figures.longestMs = Math.max(figures.longestMs, Number(c));
        }
        if (hungAt !== undefined) {
          faults.push(`file ${hungAt}: hangs or ends its process`);
          next = hungAt + 1;
        }
        from = next;
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return { figures, faults: faults.slice(0, MOST_FAULTS) };
  },
};

/** The number of the file during which the process did not come to its end, if there is one. */
function runBatch(from: number, to: number, file: string): Promise<{ lines: string[]; hungAt?: number }> {
  const argv = [
    '--max-old-space-size=1024',
    '--import',
    'tsx',
    fileURLToPath(new URL('import-batch.ts', import.meta.url)),
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
    return (ticks - seen.ticks) / 100 > HANGS_SECONDS;
  } catch {
    // It ended meanwhile.
    return false;
  }
}
