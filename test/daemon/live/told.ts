import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** All that an agent has been told, by its state: each write is a record of its log, each program a file of another name or time. */
export function toldBy(stateFolder: string): string {
  const hash = createHash('sha256');
  const names = readdirSync(stateFolder, { recursive: true, encoding: 'utf8' }).sort();
  for (const name of names) {
    const path = join(stateFolder, name);
    const stat = statSync(path);
    if (stat.isFile()) hash.update(`${name} ${stat.mtimeMs} `).update(readFileSync(path));
  }
  return hash.digest('hex');
}
