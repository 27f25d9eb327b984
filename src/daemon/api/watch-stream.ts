import type { ServerResponse } from 'node:http';
import { objectOf } from '../objects/index.ts';
import { type Store, StoreCompacted, type StoreEvent, type WatchBatch } from '../store/index.ts';

/** What of the changes a client watches. */
export interface WatchFilter {
  readonly kind?: string | undefined;
  readonly name?: string | undefined;
  /** Also what is written into the log. */
  readonly events: boolean;
}

/** A reader that lets so much of what happens wait has stopped reading. */
const MOST_WAITING_BYTES = 4 * 2 ** 20;
/** Of what there is no more than this waits, and not longer than this, ms. */
const MOST_AHEAD_BYTES = 2 ** 20;
const MOST_READING_MS = 30_000;
const HEARTBEAT_MS = 15_000;

/**
 * Server-sent events until the client leaves: first `put` for each object that is there and `sync`, then `put`, `delete` and
 * `log` as it happens. A client that comes back with `Last-Event-ID` is told only what it missed, where that is remembered.
 */
export async function streamChanges(
  store: Store,
  response: ServerResponse,
  filter: WatchFilter,
  lastEventId: string | undefined,
): Promise<void> {
  const abort = new AbortController();
  const end = () => {
    abort.abort();
    clearInterval(heartbeat);
    response.end();
  };
  response.once('close', end);
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const send = (event: string, id: string, data: unknown) => {
    response.write(`event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`);
    if (response.writableLength > MOST_WAITING_BYTES) response.destroy();
  };
  const heartbeat = setInterval(() => response.write(': still here\n\n'), HEARTBEAT_MS);
  const onBatch = (batch: WatchBatch) => sendBatch(send, batch, filter);
  const watch = (after: number) => store.watch(after, { onBatch, onLost: end }, abort.signal);
  const last = /^\d+$/.test(lastEventId ?? '') ? Number(lastEventId) : undefined;
  if (last !== undefined) {
    try {
      return await watch(last);
    } catch (error) {
      if (!(error instanceof StoreCompacted)) throw error;
      // What it missed is not remembered: it is told everything.
      send('reset', `${last}`, {});
    }
  }
  const { revision, records } = await store.read();
  for (const record of records) {
    if (matches(filter, record.kind, record.name)) send('put', `${record.revision}`, objectOf(record));
    if (response.writableLength > MOST_AHEAD_BYTES) await drained(response);
    if (response.destroyed) return;
  }
  send('sync', `${revision}`, { resourceVersion: `${revision}` });
  await watch(revision);
}

/** Until it was read; a reader that does not read is sent away. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => response.destroy(), MOST_READING_MS);
    const end = () => {
      clearTimeout(timer);
      for (const event of ['drain', 'close']) response.off(event, end);
      resolve();
    };
    for (const event of ['drain', 'close']) response.once(event, end);
  });
}

type Send = (event: string, id: string, data: unknown) => void;

function sendBatch(send: Send, { revision, changes, events }: WatchBatch, filter: WatchFilter): void {
  for (const change of changes) {
    if (change.type === 'put') {
      if (matches(filter, change.record.kind, change.record.name))
        send('put', `${revision}`, objectOf(change.record));
    } else if (matches(filter, change.kind, change.name))
      send('delete', `${revision}`, { kind: change.kind, name: change.name });
  }
  if (!filter.events) return;
  for (const event of events)
    if (matches(filter, event.object.kind, event.object.name))
      send('log', `${revision}`, event satisfies StoreEvent);
}

const matches = ({ kind, name }: WatchFilter, ofKind: string, ofName: string): boolean =>
  (kind === undefined || kind === ofKind) && (name === undefined || name === ofName);
