/** Files that were handed over for nothing. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { UnusedFiles } from '../../src/daemon/objects/index.ts';
import { openSqlite } from '../../src/daemon/store/index.ts';
import { overwrite } from './overwrite.ts';
import { scenes } from './scene.ts';

const { network, folder, files: models } = scenes();

const bytes = (text: string) => Buffer.from(text);

test('a file that no version names goes at the second look, and one that a version names stays', async () => {
  const net = network();
  const { blobs } = net.store;
  const files = new UnusedFiles(net.objects);
  await net.apply(['Model', 'm', { id: 1 }], await net.version('m', 1, models[0]!));
  const [kept] = await blobs.list();
  const left = await blobs.put(bytes('of an apply that was refused'));
  expect([await files.look(), await blobs.list()]).toEqual([0, expect.arrayContaining([kept, left])]);
  const young = await blobs.put(bytes('of an apply that is under way'));
  expect(await files.look()).toBe(1);
  expect(new Set(await blobs.list())).toEqual(new Set([kept, young]));
  await net.objects.delete([{ kind: 'ModelVersion', name: 'm-1' }], { actor: 'test' });
  expect(await blobs.list()).toEqual([young]);
});

test('nothing goes while a version cannot be read', async () => {
  const file = join(folder, 'cut.db');
  const net = network({}, openSqlite(file));
  await net.apply(['Model', 'm', { id: 1 }], await net.version('m', 1, models[0]!));
  const files = new UnusedFiles(net.objects);
  overwrite(file, 'ModelVersion', 'm-1', '{"cut off": ');
  for (let look = 0; look < 3; look++) expect(await files.look()).toBe(0);
  expect(await net.store.blobs.list()).toHaveLength(1);
});
