import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { isLoopback } from '../doors/rules.ts';
import { ensureFolder, replaceFile } from '../durable/index.ts';
import type { ApiListen } from './api/access.ts';
import type { Route } from './api/routes.ts';
import { type Api, openApiDoor } from './api/server.ts';
import { type Admission, Objects } from './objects/index.ts';
import { tokenFile } from './places.ts';
import type { Store } from './store/index.ts';

/** A part of the daemon that works by itself, such as the reconciler. */
export interface Part {
  /** Calls that it answers. */
  readonly routes?: readonly Route[];
  /** What it adds for Prometheus, in its text format. */
  metrics?(): string;
  close(): Promise<void>;
}

/** What the service is made of beside its store. */
export interface DaemonOptions {
  readonly store: Store;
  readonly listen: Omit<ApiListen, 'token'>;
  /** Of a TCP door on loopback: where its token is, or is to be; default beside the sockets. */
  readonly tokenFile?: string | undefined;
  readonly version: string;
  /** What else must be right before objects are taken. */
  readonly admit?: (store: Store) => Admission;
  /** Started when the store is open, before anybody is let in. */
  readonly parts?: readonly ((objects: Objects) => Promise<Part>)[];
}

/** The service as it runs. */
export interface Daemon {
  readonly address: string;
  /** Where the token is that clients must show. */
  readonly tokenFile?: string;
  readonly objects: Objects;
  close(): Promise<void>;
}

/** How long requests may still take when it is to end. */
const GRACE_MS = 3000;

/** @throws DiagnosticError */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { store, listen, version } = options;
  const objects = new Objects(store, options.admit?.(store));
  const parts: Part[] = [];
  const token = needsToken(listen) ? randomBytes(24).toString('base64url') : undefined;
  let api: Api | undefined;
  let isClosed = false;
  const close = async () => {
    if (isClosed) return;
    isClosed = true;
    await api?.close(GRACE_MS);
    for (const part of parts.reverse()) await part.close();
    await store.close();
  };
  try {
    for (const start of options.parts ?? []) parts.push(await start(objects));
    api = await openApiDoor({
      listen: { ...listen, ...(token !== undefined && { token }) },
      objects,
      version,
      unready: () => unreadyReason(store),
      routes: parts.flatMap((p) => p.routes ?? []),
      metrics: () => parts.map((p) => p.metrics?.() ?? '').join(''),
    });
    if (token === undefined) return { address: api.address, objects, close };
    const file = options.tokenFile ?? tokenFile(api.address);
    ensureFolder(dirname(file), 0o755);
    replaceFile(file, `${token}\n`, { mode: 0o600 });
    return {
      address: api.address,
      tokenFile: file,
      objects,
      async close() {
        rmSync(file, { force: true });
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const needsToken = ({ address, tls, insecure }: ApiListen): boolean =>
  isLoopback(address) && tls === undefined && insecure !== true;

async function unreadyReason(store: Store): Promise<string | undefined> {
  try {
    await store.get('Device', '-');
    return undefined;
  } catch (error) {
    return `the store does not answer: ${error instanceof Error ? error.message : String(error)}`;
  }
}
