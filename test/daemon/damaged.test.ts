/** Objects that somebody wrote over in the store. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openSqlite } from '../../src/daemon/store/index.ts';
import { overwrite } from './overwrite.ts';
import { scenes } from './scene.ts';

const { folder, scene } = scenes();

/** A store, and a hand that writes past its controller. */
function openTo(name: string) {
  mkdirSync(join(folder, name));
  const file = join(folder, name, 'store.db');
  const store = openSqlite(file);
  const write = (kind: string, object: string, value: string) => overwrite(file, kind, object, value);
  return { store, write };
}

const PARTS = [
  ['Service', 's'],
  ['Model', 'small'],
  ['ModelVersion', 'small-1'],
] as const;

test.each(PARTS)(
  'a %s that cannot be read takes nothing from the nodes, and the rest goes on',
  async (kind, name) => {
    const { store, write } = openTo(kind);
    const said: string[] = [];
    const { net, w, writes } = await scene({ onFault: (text: string) => said.push(text) }, { store });
    await net.stop();
    writes();
    const before = w.worker.held().map((m) => [m.modelId, m.current]);
    expect(before).toEqual([[7, 1]]);
    const right = write(kind, name, '{"cut off": ');
    net.start();
    await expect
      .poll(() => said.join(), { timeout: 20_000 })
      .toContain(`${kind}/${name} in the table objects is no JSON`);
    // Something else is brought to a device meanwhile, and the log tells what the matter is.
    await net.apply(['Worker', 'w2', { control: '127.0.0.1:1' }]);
    await net.condition('Worker', 'w2', 'Reachable', 'Lost');
    await sleep(1000);
    expect(writes()).toEqual([0, 0]);
    expect(w.worker.held().map((m) => [m.modelId, m.current])).toEqual(before);
    expect((await net.events({ kind, name })).map((e) => e.reason)).toContain('Damaged');
    await expect(net.objects.need(kind, name)).rejects.toThrow(/is no JSON: it is left alone/);
    await net.stop();
    write(kind, name, right);
    net.start();
    await net.until('Service', 's', (s) => s.status.version === 1);
    await net.inSync('d1', 'd2');
  },
);
