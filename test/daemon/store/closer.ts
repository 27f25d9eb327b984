/** Closes and drops stores in each way there is; arguments: a file of another program, and one that is none yet. */
import { openSqlite } from '../../../src/daemon/store/index.ts';
import { closeDatabase, openDatabase } from '../../../src/daemon/store/sqlite-database.ts';

const [other, own] = process.argv.slice(2) as [string, string];
const collect = async (): Promise<void> => {
  for (let i = 0; i < 2; i++) {
    global.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

const plain = openDatabase(other);
plain.exec('create table t (a)');
closeDatabase(plain);
try {
  openSqlite(other);
} catch {
  // It is refused with its connection open.
}
await collect();
await openSqlite(own).close();
await collect();
const left = openSqlite(own);
await left.commit({ changes: [{ op: 'put', kind: 'A', name: 'a', value: 1, expect: 'any' }] });
process.exit(0);
