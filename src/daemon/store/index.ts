/** What the daemon remembers: one interface, SQLite and etcd behind it. */
export { openSqlite, type SqliteOptions } from './sqlite.ts';
export * from './store.ts';
