import { closeDatabase, openDatabase } from '../../src/daemon/store/sqlite-database.ts';

/** Writes past the controller into a store of SQLite. @returns what stood there */
export function overwrite(file: string, kind: string, name: string, value: string): string {
  const db = openDatabase(file);
  try {
    const where = 'where kind = ? and name = ?';
    const before = db.prepare(`select value from objects ${where}`).get(kind, name) as { value: string };
    db.prepare(`update objects set value = ?, revision = revision + 1000000 ${where}`).run(value, kind, name);
    return before.value;
  } finally {
    closeDatabase(db);
  }
}
