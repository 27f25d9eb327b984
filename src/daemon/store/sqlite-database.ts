/**
 * Connections of libsql that are closed once. Version 0.5 closes a connection twice of which no statement is alive, the
 * second time in memory that is free by then, be it by `close`, by the garbage collector, or when the process ends. So one
 * statement is kept beside each, and none is left to the collector.
 */
import Database from 'libsql';

type Connection = Database.Database;

/** Each with the statement that is kept. */
const open = new Map<Connection, Database.Statement>();

process.once('exit', () => {
  for (const db of open.keys()) closeDatabase(db);
});

/** @throws Error of the library where the file cannot be opened */
export function openDatabase(file: string): Connection {
  const db = new Database(file);
  open.set(db, db.prepare('select 1'));
  return db;
}

/** The second call does nothing. */
export function closeDatabase(db: Connection): void {
  if (!open.has(db)) return;
  db.close();
  open.delete(db);
}
