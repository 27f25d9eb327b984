import { describe, expect, it } from 'vitest';
import { admitPlaceable } from '../../../src/daemon/index.ts';
import { device, documents, manifest, testDaemon } from './support.ts';

describe('a service that no placement satisfies', async () => {
  const { cli, file, objects } = await testDaemon(undefined, admitPlaceable);
  const model = documents(
    manifest('Model', 'digits', '{ id: 1 }'),
    manifest(
      'ModelVersion',
      'digits-1',
      `{ model: digits, version: 1, file: ${process.cwd()}/examples/digits-mlp.onnx }`,
    ),
  );
  const service = (spec: string) => manifest('Service', 'digits', `{ model: digits${spec} }`);
  const apply = async (...texts: readonly string[]) =>
    cli('apply', '-f', file('n.yaml', documents(...texts)));

  it('is taken before there is a device: nothing is known yet', async () => {
    expect((await apply(model, service(''))).code).toBe(0);
    expect((await apply(model, service(''), device('s1', 1, ', zone: lab'))).code).toBe(0);
  });

  it.each([
    [
      'an objective that is too short',
      ', objective: { latencyUs: 1 }',
      /spec\.objective\.latencyUs: .*the fastest takes [\d.]+ us, [\d.]+ us more than its objective of 1 us/,
    ],
    [
      'a zone that has no node',
      ', policy: { layers: [{ layers: "0..2", zones: [moon] }] }',
      /no placement satisfies it: .*moon/,
    ],
    [
      'layers that there are not',
      ', policy: { layers: [{ layers: "0..9", nodes: [s1] }] }',
      /no placement satisfies it: .*9/,
    ],
  ])('is refused with the constraint: %s', async (_, spec, message) => {
    const before = (await objects.list()).revision;
    const { code, out, err } = await apply(device('s2', 2), service(spec));
    expect([code, out]).toEqual([1, '']);
    expect(err).toMatch(message);
    expect(err).toMatch(/n\.yaml:\d+:\d+: Service\/digits: .*service-unsatisfiable\]\n {2}help: /);
    expect((await objects.list()).revision).toBe(before);
  });

  it('is taken with an objective that can be kept', async () => {
    expect((await apply(service(', objective: { latencyUs: 1000000 }'))).code).toBe(0);
  });

  it('the example can be placed', async () => {
    await cli('delete', 'service/digits', 'modelversion/digits-1', 'model/digits', 'device/s1');
    const { code, err } = await cli('apply', '-f', 'examples/network.yaml');
    expect([code, err]).toEqual([0, '']);
  });
});
