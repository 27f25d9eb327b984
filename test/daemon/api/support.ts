import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ApiListen } from '../../../src/daemon/api/access.ts';
import { type Daemon, type DaemonOptions, openStore, startDaemon } from '../../../src/daemon/index.ts';
import { atFileEnd } from '../../support/at-end.ts';
import { intransit, type Outcome, testFolder } from '../../support/io.ts';

export interface TestDaemon extends Daemon {
  readonly folder: string;
  /** As a client of it: the command line with its address. */
  readonly cli: (...argv: string[]) => Promise<Outcome>;
  /** Writes manifests to a file; returns its name. */
  readonly file: (name: string, text: string) => string;
}

/** A daemon with a store of its own, which goes with the test file. */
export async function testDaemon(
  listen?: ApiListen,
  admit?: DaemonOptions['admit'],
  parts?: (folder: string) => DaemonOptions['parts'],
): Promise<TestDaemon> {
  const folder = testFolder();
  const started = parts?.(folder);
  const daemon = await startDaemon({
    store: await openStore(`sqlite:${join(folder, 'store.db')}`),
    listen: listen ?? { address: `unix:${join(folder, 'c.sock')}` },
    version: '0.0.0-test',
    ...(admit && { admit }),
    ...(started && { parts: started }),
    ...(listen && { tokenFile: join(folder, 'token') }),
  });
  atFileEnd(() => daemon.close());
  const url = daemon.address.startsWith('unix:') ? daemon.address : `http://${daemon.address}`;
  return {
    ...daemon,
    folder,
    cli: (...argv) => intransit(...argv, '--controller', url),
    file: (name, text) => {
      const path = join(folder, name);
      writeFileSync(path, text);
      return path;
    },
  };
}

export const manifest = (kind: string, name: string, spec: string, metadata = ''): string =>
  `apiVersion: intransit.dev/v1alpha1\nkind: ${kind}\nmetadata: { name: ${name}${metadata} }\nspec: ${spec}\n`;

export const device = (name: string, id: number, extra = '') =>
  manifest('Device', name, `{ target: v1model, address: "127.0.0.1:9559", deviceId: ${id}${extra} }`);

export const documents = (...texts: readonly string[]): string => texts.join('---\n');
