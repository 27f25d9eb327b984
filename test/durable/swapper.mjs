// An unprivileged neighbour: lays folders that look like leftovers of ours, and swaps those that are just being removed for
// links to somebody else's folder.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [shared, victim, ...names] = process.argv.slice(2);
const foreign = readdirSync(victim);
const samples = foreign.filter((_, i) => i % 50 === 0);
const attempt = (work) => {
  try {
    work();
  } catch {
    // Somebody else was faster.
  }
};

/** Complete before it has its name. */
function lay(at) {
  const aside = join(shared, 'aside');
  attempt(() => rmSync(at, { recursive: true, force: true }));
  attempt(() => rmSync(aside, { recursive: true, force: true }));
  attempt(() => mkdirSync(join(aside, 'inner'), { recursive: true }));
  for (const file of foreign) attempt(() => writeFileSync(join(aside, 'inner', file), ''));
  attempt(() => renameSync(aside, at));
}

const traps = names.map((name) => join(shared, name));
for (const trap of traps) lay(trap);
process.stdout.write('ready\n');
for (;;)
  for (const trap of traps) {
    const inner = join(trap, 'inner');
    const begun = samples.some((file) => !existsSync(join(inner, file)));
    if (!begun) continue;
    // Its names are read by now; what comes is done through the path.
    attempt(() => renameSync(inner, join(trap, 'away')));
    attempt(() => symlinkSync(victim, inner));
    const until = performance.now() + 3;
    while (performance.now() < until);
    lay(trap);
  }
