/** What the daemon remembers: one interface, and what stands behind it. */
export { type CopyReport, copyStore } from './copy.ts';
export { openStore } from './open.ts';
export { openSqlite, type SqliteOptions } from './sqlite.ts';
export * from './store.ts';
export { UnreadableValue } from './stored-value.ts';
