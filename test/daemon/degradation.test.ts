/** A service of several models: a later one answers where an earlier one does not fit the objective, and that is told. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { resolveAll } from '../../src/daemon/names/index.ts';
import { ModelLibrary } from '../../src/daemon/network/models.ts';
import { networkOf } from '../../src/daemon/network/network.ts';
import { Placer } from '../../src/daemon/network/placing.ts';
import { Objects } from '../../src/daemon/objects/index.ts';
import { openSqlite } from '../../src/daemon/store/index.ts';
import { testFolder } from '../support/io.ts';

const store = openSqlite(join(testFolder(), 'store.db'));
const objects = new Objects(store);
afterAll(() => store.close());

const apply = async (...manifests: readonly (readonly [string, string, object])[]) => {
  const documents = manifests.map(([kind, name, spec]) => ({
    apiVersion: 'intransit.dev/v1alpha1',
    kind,
    metadata: { name },
    spec,
  }));
  await objects.apply(documents, { actor: 'test' });
};

const version = async (model: string, number: number, file: string) => {
  const digest = await store.blobs.put(readFileSync(`examples/${file}`));
  return [
    'ModelVersion',
    `${model}-${number}`,
    { model, version: number, source: { name: file, digest } },
  ] as const;
};

const NODES = new Set(['s1', 'w1']);
const library = new ModelLibrary(store.blobs);
const placer = new Placer(library);

/** Where the service is placed, with what was written of it as the daemon does. */
async function placed(spec: object, usable = NODES) {
  await apply(['Service', 'digits', spec]);
  const network = networkOf((await objects.list()).objects);
  const [found] = await placer.place(network, usable);
  if (found!.placed !== undefined) await objects.setPlacement('digits', found!.placed.placement);
  return found!;
}

describe('a service of a large and a small model', async () => {
  await apply(
    ['Device', 's1', { target: 'v1model', address: '127.0.0.1:9559' }],
    ['Worker', 'w1', { control: '127.0.0.1:7000', address: '127.0.0.1:7001' }],
    ['Link', 'l', { from: { node: 's1', port: 1 }, to: { node: 'w1' }, latencyUs: 10 }],
    ['Model', 'large', { id: 1 }],
    ['Model', 'small', { id: 2 }],
    await version('large', 1, 'digits-cnn.onnx'),
    await version('small', 4, 'digits-mlp.onnx'),
    await version('small', 5, 'digits-mlp.onnx'),
  );
  const foreseen = async (model: string) => (await placed({ model })).placed!.placement.foreseenLatencyUs!;
  const [large, small] = [await foreseen('large'), await foreseen('small')];
  const models = ['large', 'small'];
  const between = { latencyUs: Math.round((large + small) / 2) };

  it('is answered by the one that it prefers while that fits', async () => {
    expect(small).toBeLessThan(large * 0.8);
    expect((await placed({ models })).placed).toMatchObject({ modelId: 1, placement: { model: 'large' } });
    const roomy = await placed({ models, objective: { latencyUs: Math.ceil(large) + 1 } });
    expect(roomy.placed).toMatchObject({ modelId: 1, wanted: { current: 1 } });
  });

  it('is answered by the smaller one where the larger does not fit, by its newest version, and the reason says so', async () => {
    const reasons = new Set<string>();
    for (let turn = 0; turn < 3; turn++) {
      const { placed: found, problem } = await placed({ models, objective: between });
      expect(problem).toBeUndefined();
      expect(found).toMatchObject({
        modelId: 2,
        wanted: { current: 5 },
        placement: { model: 'small', version: 5 },
      });
      reasons.add(found!.placement.reason!);
    }
    // Said once, and the same from turn to turn.
    expect([...reasons]).toEqual([
      expect.stringMatching(/^layers .* in place of Model\/large: \d+ us foreseen, the objective is \d+$/),
    ]);
    await objects.setStatus([
      {
        kind: 'Service',
        name: 'digits',
        change: ({ status }) => ({ ...status, model: 'small', version: 5 }),
      },
    ]);
    const [name] = resolveAll((await objects.list()).objects, { type: 'service' });
    expect(name!.models).toEqual([
      { model: 'small', modelId: 2, version: 5, service: 'digits' },
      { model: 'large', modelId: 1, service: 'digits' },
    ]);
  });

  it('is answered by the preferred one again when it fits, and late where none does', async () => {
    const back = await placed({ models, objective: { latencyUs: Math.ceil(large) + 1 } });
    expect(back.placed).toMatchObject({ modelId: 1, wanted: { current: 1 } });
    expect(back.placed!.placement.reason).not.toMatch(/in place of/);
    const none = await placed({ models, objective: { latencyUs: 1 } });
    expect(none.placed).toMatchObject({ modelId: 1 });
  });

  it('goes on with its preferred version in a rollout that begins while another model answers', async () => {
    await apply(await version('large', 2, 'digits-cnn.onnx'), [
      'Rollout',
      'r',
      { service: 'digits', version: 2 },
    ]);
    const found = await placed({ models, version: 1 });
    const late = await placed({ models, version: 1, objective: between });
    expect(late.placed).toMatchObject({ modelId: 1, wanted: { current: 1 } });
    // The status still tells of version 5, of the small model.
    expect(found.placed).toMatchObject({ modelId: 1, wanted: { current: 1 } });
  });
});
