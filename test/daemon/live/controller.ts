/** A controller in a process of its own. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControllerClient } from '../../../src/daemon/client/index.ts';
import type { StoredObject } from '../../../src/daemon/manifests/index.ts';
import type { StoreEvent } from '../../../src/daemon/store/index.ts';
import { Program } from './processes.ts';

export const API = '/api/v1alpha1';

export const manifest = (kind: string, name: string, spec: object) => ({
  apiVersion: 'intransit.dev/v1alpha1',
  kind,
  metadata: { name },
  spec,
});

export class Controller {
  readonly program: Program;
  readonly url: string;
  readonly client: ControllerClient;

  private constructor(program: Program, url: string) {
    this.program = program;
    this.url = url;
    this.client = new ControllerClient({ url });
  }

  /**
   * @param intransit what runs the command line
   * @param store such as `etcd:HOST:PORT`
   */
  static async start(
    intransit: readonly string[],
    folder: string,
    name: string,
    store: string,
  ): Promise<Controller> {
    const url = `unix:${join(folder, `${name}.sock`)}`;
    const own = join(folder, name);
    mkdirSync(own, { recursive: true });
    const program = new Program([...intransit, 'controller', '--store', store, '--listen', url, '--json'], {
      env: { XDG_STATE_HOME: own },
    });
    await program.line();
    return new Controller(program, url);
  }

  kill(): Promise<void> {
    return this.program.kill();
  }

  async apply(...documents: readonly object[]): Promise<void> {
    await this.client.send('POST', `${API}/apply`, { documents });
  }

  async events(query = ''): Promise<readonly StoreEvent[]> {
    const found = await this.client.get<{ readonly items: readonly StoreEvent[] }>(
      `${API}/events?limit=10000${query}`,
    );
    return found.items;
  }

  async terms(): Promise<number> {
    return (await this.events()).filter((e) => e.reason === 'Leading').length;
  }

  object(path: string): Promise<StoredObject> {
    return this.client.get<StoredObject>(`${API}/${path}`);
  }

  async until(path: string, isSo: (object: StoredObject) => boolean): Promise<void> {
    let last: StoredObject | undefined;
    await until(
      async () => {
        last = await this.object(path);
        return isSo(last);
      },
      () => `${path}: ${JSON.stringify(last?.status)}`,
    );
  }

  /** Until a service has this version, and all its nodes do. */
  async isAt(service: string, version: number): Promise<void> {
    await this.until(`services/${service}`, ({ status, metadata: { generation } }) => {
      const ready = status.conditions.find((c) => c.type === 'Ready');
      return (
        'version' in status &&
        status.version === version &&
        ready?.status === 'True' &&
        ready.observedGeneration === generation
      );
    });
  }
}

/** @throws where it is not so after a minute */
export async function until(isSo: () => Promise<boolean>, what: string | (() => string)): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await isSo())) {
    if (performance.now() > end)
      throw new Error(`not as it should be: ${typeof what === 'string' ? what : what()}`);
    await sleep(50);
  }
}
