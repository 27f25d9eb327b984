import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { forestOnnx } from '../../support/forests.ts';
import { intransit } from '../../support/io.ts';
import { random } from '../../support/random.ts';
import { device, documents, manifest, testDaemon } from './support.ts';

describe('commands of a controller', async () => {
  const { cli, file, objects } = await testDaemon();

  it('apply an example, and again changes nothing', async () => {
    const first = await cli('apply', '-f', 'examples/network.yaml');
    expect([first.code, first.err]).toEqual([0, '']);
    expect(first.out.split('\n').slice(0, 2)).toEqual(['Device/s1 created', 'Device/s2 created']);
    const { revision } = await objects.list();
    const again = await cli('apply', '-f', 'examples/network.yaml');
    expect(again.out).not.toMatch(/created|configured/);
    expect((await objects.list()).revision).toBe(revision);
  });

  it('get in every form', async () => {
    expect((await cli('get', 'devices')).out).toMatch(
      /^NAME +TARGET +ADDRESS.*\ns1 +v1model +127\.0\.0\.1:9559/,
    );
    expect((await cli('get', 'dev', '-o', 'wide')).out).toMatch(/DEVICE-ID/);
    expect((await cli('get', 'device', 's1', 's2', '-o', 'name')).out).toBe('Device/s1\nDevice/s2\n');
    const list = JSON.parse((await cli('get', 'devices', '-o', 'json')).out);
    expect([list.kind, list.items.length]).toEqual(['List', 2]);
    const one = parse((await cli('get', 'device/s1', '-o', 'yaml')).out);
    expect(one).toMatchObject({
      kind: 'Device',
      metadata: { name: 's1', generation: 1 },
      spec: { deviceId: 1 },
    });
    expect(JSON.parse((await cli('get', 'device', 's1', '--json')).out)).toEqual(one);
    expect((await cli('get', 'all', '-o', 'name')).out.split('\n')).toHaveLength(9);
    expect((await cli('get', 'devices', '-l', 'site=other')).err).toMatch(/there are none/);
    expect((await cli('get', 'devices', '-l', 'site=lab', '-o', 'name')).out).toBe('Device/s1\nDevice/s2\n');
  });

  it('a model file is handed over, and kept by its digest', async () => {
    const { out } = await cli('get', 'mv', 'digits-1', '-o', 'json');
    const { source } = JSON.parse(out).spec;
    expect(source.name).toBe('digits-mlp.onnx');
    const bytes = await objects.store.blobs.get(source.digest);
    expect(Buffer.compare(bytes!, readFileSync('examples/digits-mlp.onnx'))).toBe(0);
  });

  it('what is printed can be applied, until somebody else changes it', async () => {
    const { out } = await cli('get', 'device', 's1', '-o', 'yaml');
    const path = file('s1.yaml', out.replace('site: lab', 'site: attic'));
    expect((await cli('apply', '-f', path)).out).toBe('Device/s1 configured\n');
    const stale = await cli('apply', '-f', path);
    expect([stale.code, stale.out]).toEqual([1, '']);
    expect(stale.err).toMatch(/s1\.yaml:\d+:\d+: Device\/s1: metadata\.resourceVersion: .*object-conflict/);
    expect(stale.err).toMatch(/get it anew/);
  });

  it('apply prints what get prints', async () => {
    const path = file('printed.yaml', documents(device('s8', 8), device('s9', 9)));
    const dry = await cli('apply', '-f', path, '-o', 'name', '--dry-run');
    expect([dry.code, dry.out]).toEqual([0, 'Device/s8\nDevice/s9\n']);
    expect((await cli('get', 'device', 's8')).code).toBe(1);
    const list = JSON.parse((await cli('apply', '-f', path, '-o', 'json')).out);
    expect(list).toEqual(JSON.parse((await cli('get', 'device', 's8', 's9', '-o', 'json')).out));
    const one = file('one.yaml', documents(device('s8', 8)));
    expect((await cli('apply', '-f', one, '-o', 'yaml')).out).toBe(
      (await cli('get', 'device', 's8', '-o', 'yaml')).out,
    );
    expect((await cli('apply', '-f', one, '-o', 'wide')).out).toBe(
      (await cli('get', 'device', 's8', '-o', 'wide')).out,
    );
    expect((await cli('apply', '-f', one, '-o', 'toml')).code).toBe(2);
    expect((await cli('delete', 'device', 's8', 's9')).code).toBe(0);
  });

  it('diff shows what apply would do, and does nothing', async () => {
    const path = file('diff.yaml', documents(device('s1', 1, ', zone: edge'), device('s9', 9)));
    const { out, code } = await cli('diff', '-f', path);
    expect(code).toBe(0);
    expect(out).toMatch(/Device\/s1 would be configured\n[\s\S]*- {3}zone: default\n\+ {3}zone: edge/);
    expect(out).toMatch(/Device\/s9 would be created\n\+ metadata:/);
    const json = JSON.parse((await cli('diff', '-f', path, '--json')).out);
    expect(json.differences.map((d: { name: string; action: string }) => [d.name, d.action])).toEqual([
      ['s1', 'configured'],
      ['s9', 'created'],
    ]);
    expect((await cli('get', 'device', 's9')).code).toBe(1);
    expect((await cli('diff', '-f', 'examples/network.yaml')).out).toMatch(/site: attic/);
    const dry = await cli('apply', '-f', path, '--dry-run');
    expect(dry.out).toMatch(/Device\/s9 created \(dry run, nothing was changed\)/);
    expect(await objects.get('Device', 's9')).toBeUndefined();
  });

  it('describe and events tell who did what', async () => {
    const { out } = await cli('describe', 'service', 'read-digits');
    expect(out).toMatch(/^Service\/read-digits\n[\s\S]*latencyUs: 5000[\s\S]*events:\n[\s\S]*Created/);
    const events = JSON.parse((await cli('events', 'device/s1', '-o', 'json')).out).items;
    expect(events.map((e: { reason: string }) => e.reason)).toEqual(['Created', 'Configured']);
    expect(events[0].actor).toMatch(/^user:/);
    expect((await cli('events', '--actor', 'nobody')).err).toMatch(/there are none/);
    expect((await cli('events', '--until', '1h')).err).toMatch(/there are none/);
    expect((await cli('events', 'device', '--since', '1h', '--limit', '1')).out.split('\n')).toHaveLength(3);
    expect((await cli('events', '--since', 'yesterday')).code).toBe(2);
  });

  it('watch shows what is, and what changes', async () => {
    const watching = cli('watch', 'device', '--for', '1.5', '--json');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await cli('apply', '-f', file('s5.yaml', device('s5', 5)))).code).toBe(0);
    expect((await cli('delete', 'device', 's5')).out).toBe('Device/s5 deleted\n');
    const { out, code } = await watching;
    const seen = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .map(({ event, data }) => `${event} ${data.metadata?.name ?? data.name ?? data.reason ?? ''}`.trim());
    expect(code).toBe(0);
    expect(seen).toEqual(['put s1', 'put s2', 'sync', 'put s5', 'log Created', 'delete s5', 'log Deleted']);
  });

  it('delete refuses what others refer to, unless they go too', async () => {
    const refused = await cli('delete', 'device', 's1');
    expect([refused.code, refused.err]).toEqual([
      1,
      expect.stringMatching(/referred to by Link\/s1-s2, Service\/read-digits.*object-referenced/),
    ]);
    expect((await cli('delete', 'service/read-digits', 'model/digits')).err).toMatch(
      /ModelVersion\/digits-1/,
    );
    expect((await cli('get', 'service', 'read-digits')).code).toBe(0);
    expect((await cli('delete', 'device', 's7')).err).toMatch(
      /there is no Device\/s7[\s\S]*is s1 or s2 meant/,
    );
    expect((await cli('delete', 'link', 's2-w1', '--resource-version', '1000000')).err).toMatch(
      /object-conflict/,
    );
    expect((await cli('delete', '-f', 'examples/network.yaml', '--dry-run')).out).toMatch(
      /Device\/s1 would be deleted/,
    );
    expect((await cli('delete', '-f', 'examples/network.yaml')).code).toBe(0);
    expect((await objects.list()).objects).toEqual([]);
    expect(await objects.store.blobs.list()).toEqual([]);
  });
});

describe('a bad manifest', async () => {
  const { cli, file, folder, objects } = await testDaemon();
  const model = (name: string, id: number) => manifest('Model', name, `{ id: ${id} }`);
  const service = (name: string, spec: string) => manifest('Service', name, spec);
  let n = 0;
  /** Applies it with something that is right, of which nothing may be left. */
  const refused = async (...texts: readonly string[]) => {
    const path = file(`bad-${n++}.yaml`, documents(device('right', 77), ...texts));
    const { code, out, err } = await cli('apply', '-f', path);
    expect([code, out]).toEqual([1, '']);
    expect(err).not.toMatch(/internal error|\n\s+at /);
    expect((await objects.list()).objects).toEqual([]);
    return err.replaceAll(path, 'FILE');
  };

  it.each<[string, readonly string[], RegExp]>([
    [
      'a wrong field',
      [device('s1', 1, ', adress: x')],
      /FILE:9:\d+: Device\/s1: spec\.adress: .*is address meant.*manifest-field/,
    ],
    [
      'a wrong type',
      [device('s1', 1, ', zones: all')],
      /FILE:\d+:\d+: Device\/s1: spec\.zones: expected a list/,
    ],
    [
      'an unknown kind',
      [manifest('Devise', 's1', '{}')],
      /FILE:7:1: kind: there is no kind Devise[\s\S]*is Device meant/,
    ],
    ['no kind', ['spec: {}\n'], /expected one of Device, Worker/],
    ['a text', ['just a text\n'], /expected an object with apiVersion/],
    [
      'another version',
      [device('s1', 1).replace('v1alpha1', 'v1')],
      /apiVersion: expected intransit\.dev\/v1alpha1/,
    ],
    ['no name', [device('s1', 1).replace('name: s1', '')], /metadata\.name: expected a name/],
    [
      'a reference to nothing',
      [service('s', '{ model: digits }')],
      /Service\/s: spec\.model: there is no Model digits.*manifest-reference/,
    ],
    [
      'a circle',
      [
        model('a', 1),
        model('b', 2),
        service('a', '{ model: a, fallback: b }'),
        service('b', '{ model: b, fallback: a }'),
      ],
      /Service\/a: spec\.fallback: .*circle: Service\/a -> Service\/b -> Service\/a/,
    ],
    [
      'two services on a model id',
      [model('m', 1), service('a', '{ model: m }'), service('b', '{ model: m }')],
      /Service\/b: spec\.model: model id 1 .*claimed by Service\/a/,
    ],
    [
      'two models of one id',
      [model('a', 1), model('b', 1)],
      /Model\/b: spec\.id: model id 1 is claimed by Model\/a/,
    ],
    ['one object twice', [model('a', 1), model('a', 2)], /Model\/a is here twice, first in document 2/],
    [
      'a stale resourceVersion',
      [manifest('Model', 'm', '{ id: 1 }', ', resourceVersion: "7"')],
      /object-conflict/,
    ],
    ['a placement', [manifest('Placement', 'p', '{ service: s }')], /made by the controller/],
    [
      'a model file that is not there',
      [model('m', 1), manifest('ModelVersion', 'v', '{ model: m, version: 1, file: nothing.onnx }')],
      /nothing\.onnx.*file-unreadable/,
    ],
    [
      'a model file that is none',
      [model('m', 1), manifest('ModelVersion', 'v', '{ model: m, version: 1, file: bad-0.yaml }')],
      /ModelVersion\/v: spec\.source: bad-0\.yaml: .*unknown-format/,
    ],
    [
      'a file of which the controller knows nothing',
      [
        model('m', 1),
        manifest(
          'ModelVersion',
          'v',
          `{ model: m, version: 1, source: { name: a.onnx, digest: "sha256:${'0'.repeat(64)}" } }`,
        ),
      ],
      /spec\.source\.digest: expected the digest of a file/,
    ],
    [
      'a version that there is not',
      [model('m', 1), service('s', '{ model: m, version: 3 }')],
      /Service\/s: spec\.version: Model\/m has no version 3/,
    ],
  ])('is refused with %s, and nothing of it is applied', async (_, texts, message) => {
    expect(await refused(...texts)).toMatch(message);
  });

  it.each([
    ['a tab', 'a:\n\t- b\n'],
    ['an open bracket', 'a: [\n'],
    ['a key twice', 'a: 1\na: 2\n'],
    ['JSON that ends too early', '{"kind": "Device"'],
    [
      'aliases that multiply',
      `a: &a [x, x]\n${'bcdefghij'
        .split('')
        .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefghi'[i]}`)}]`)
        .join('\n')}\n`,
    ],
    ['no end of nesting', '['.repeat(100_000)],
  ])('of no YAML is told where: %s', async (_, text) => {
    const { code, err } = await cli('apply', '-f', file('syntax.yaml', text));
    expect(code).toBe(1);
    expect(err).toMatch(/syntax\.yaml.*manifest-syntax/);
    expect(err.length).toBeLessThan(1000);
  });

  it('of nothing is told so', async () => {
    for (const text of ['', '# nothing\n', '---\n---\n'])
      expect((await cli('apply', '-f', file('empty.yaml', text))).err).toMatch(/holds no document/);
    expect((await cli('apply', '-f', 'no/such.yaml')).err).toMatch(/file-unreadable/);
  });

  it('of a forest with sides for missing values, until it says that none is missing', async () => {
    const spec = { features: 6, trees: 1, depth: 1, scores: 3, leaves: 'all' } as const;
    const attributes = { nodes_missing_value_tracks_true: [1, 0, 0] };
    writeFileSync(join(folder, 'forest.onnx'), forestOnnx(random(5), { ...spec, attributes }));
    const version = (more: string) =>
      manifest('ModelVersion', 'v', `{ model: m, version: 1, file: forest.onnx${more} }`);
    expect(await refused(model('m', 1), version(''))).toMatch(
      /ModelVersion\/v: spec\.source: forest\.onnx: .*forest-missing/,
    );
    expect(await refused(model('m', 1), version(', missing: ever'))).toMatch(
      /ModelVersion\/v: spec\.missing: expected never/,
    );
    const path = file('never.yaml', documents(model('m', 1), version(', missing: never')));
    const taken = await cli('apply', '--dry-run', '-f', path);
    expect([taken.code, taken.err]).toEqual([0, '']);
  });

  it('of which several things are wrong tells all of them', async () => {
    const err = await refused(device('s1', 0, ', adress: x'), service('s', '{ model: 7 }'));
    expect(err.match(/manifest-field/g)).toHaveLength(3);
  });

  it('cannot change what a name stands for', async () => {
    await cli('apply', '-f', file('m.yaml', model('m', 1)));
    const { code, err } = await cli('apply', '-f', file('m2.yaml', model('m', 2)));
    expect([code, err]).toEqual([1, expect.stringMatching(/spec\.id: .*cannot become 2: it is 1 for good/)]);
    await cli('delete', 'model', 'm');
  });
});

it.each([
  ['apply'],
  ['diff'],
  ['delete'],
  ['get'],
  ['get', 'pods'],
  ['describe', 'device', 's1', '-o', 'json'],
  ['get', 'devices', '-o', 'xml'],
  ['get', 'devices', '--selector', 'site'],
  ['delete', 'device'],
  ['controller', '--listen', '0.0.0.0:1'],
  ['controller', '--listen', '127.0.0.1:0', '--tls-cert', 'x'],
])('wrong usage: %s %s %s %s', async (...argv) => {
  const { code, err } = await intransit(...argv);
  expect([code, err]).toEqual([2, expect.stringContaining('help:')]);
});

it('without a controller says where it asked', async () => {
  for (const url of ['unix:/nowhere/c.sock', 'http://127.0.0.1:1', 'nonsense']) {
    const { code, err } = await intransit('get', 'devices', '--controller', url);
    expect([code, err]).toEqual([1, expect.stringContaining(url)]);
  }
});
