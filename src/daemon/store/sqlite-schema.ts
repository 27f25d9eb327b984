import type Database from 'libsql';

/** Another one where older programs could not read it. */
const FORMAT = 1;

/**
 * `meta`: format, revision, specRevision, and `compacted`, up to which changes are forgotten.
 * `changes`: what watchers that come later are told; a deletion has no value.
 */
const SCHEMA = `
create table meta (name text primary key, value integer not null) without rowid;
create table objects (
  kind text not null, name text not null, revision integer not null, value text not null, primary key (kind, name)
) without rowid;
create table changes (
  revision integer not null, ordinal integer not null, kind text not null, name text not null, value text,
  primary key (revision, ordinal)
) without rowid;
create table events (
  revision integer not null, ordinal integer not null, time text not null, actor text not null, type text not null,
  reason text not null, message text not null, kind text not null, name text not null,
  primary key (revision, ordinal)
) without rowid;
create index events_by_object on events (kind, name, revision);
create index events_by_time on events (time);
create table terms (lease text primary key, term integer not null) without rowid;
create table blobs (digest text primary key, bytes blob not null);
insert into meta values ('format', ${FORMAT}), ('revision', 0), ('specRevision', 0), ('compacted', 0);
`;

/**
 * Makes the tables where there are none.
 * @throws Error where the file is of another program, or of a later one
 */
export function prepareSchema(db: Database.Database): void {
  // FULL: a commit is on disk before it is acknowledged, also behind a loss of power.
  db.exec('pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;');
  const tables = db.prepare("select name from sqlite_master where type = 'table'").all() as {
    name: string;
  }[];
  if (tables.length === 0) {
    db.transaction(() => db.exec(SCHEMA))();
    return;
  }
  if (!tables.some(({ name }) => name === 'meta')) throw new Error('it is a database of another program');
  const row = db.prepare("select value from meta where name = 'format'").get() as
    | { value: number }
    | undefined;
  if (row?.value !== FORMAT)
    throw new Error(`it has format ${row?.value ?? 'unknown'}, this program reads ${FORMAT}`);
}
