/** An etcd in which others have written, and one behind TLS. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Reconciler, startDaemon } from '../../../src/daemon/index.ts';
import { EtcdRpc } from '../../../src/daemon/store/etcd/rpc.ts';
import { openStore } from '../../../src/daemon/store/index.ts';
import { makeCertificate } from '../../p4runtime/support/certificates.ts';
import { startEtcd } from '../../support/etcd.ts';
import { intransit, testFolder } from '../../support/io.ts';
import { describeWithTools } from '../../support/machine.ts';
import { device } from '../api/support.ts';

const PREFIX = '/intransit/v1alpha1/';
const MOST = 20_000_000;

describeWithTools(['etcd'], 'an etcd in which others write', () => {
  const folder = testFolder();
  const open: { close(): unknown }[] = [];
  let place = '';
  let rpc: EtcdRpc;
  beforeAll(async () => {
    const etcd = await startEtcd(folder, ['--max-request-bytes', `${MOST}`]);
    place = etcd.place;
    rpc = new EtcdRpc([place]);
    open.push({ close: () => etcd.kill() }, rpc);
  });
  afterAll(async () => {
    for (const one of open.reverse()) await one.close();
  });
  const put = (key: string, value: string) =>
    rpc.call('KV.Txn', {
      compare: [],
      success: [{ request_put: { key: Buffer.from(`${PREFIX}${key}`), value: Buffer.from(value) } }],
    });

  const object = (kind: string, name: string, spec: object, more: object = {}) =>
    JSON.stringify({
      apiVersion: 'intransit.dev/v1alpha1',
      kind,
      metadata: { name, generation: 1, uid: 'x', creationTimestamp: '2030-01-01T00:00:00Z', ...more },
      spec,
      status: { conditions: [] },
    });
  const SPEC = { target: 'v1model', address: '127.0.0.1:9' };

  /** Key below the prefix, value, and what is said. */
  const wrong: readonly (readonly [key: string, value: string, said: RegExp])[] = [
    ['objects/Device/text', 'no JSON at all', /objects\/Device\/text is no JSON/],
    ['objects/Device/empty', '', /Device\/empty is no JSON/],
    ['objects/Device/number', '7', /Device\/number is no Device/],
    ['objects/Device/null', 'null', /Device\/null is no Device/],
    ['objects/Device/deep', '['.repeat(100_000), /Device\/deep is nested deeper than 64/],
    ['objects/Device/large', `"${'x'.repeat(10_000_000)}"`, /Device\/large has 10000002 bytes/],
    [
      'objects/Device/other',
      object('Worker', 'other', { control: '127.0.0.1:9' }),
      /Device\/other is no Device: kind/,
    ],
    ['objects/Device/misnamed', object('Device', 'else', SPEC), /misnamed is an object of another name/],
    [
      'objects/Device/poor',
      '{"apiVersion":"intransit.dev/v1alpha1","kind":"Device"}',
      /Device\/poor is no Device: metadata/,
    ],
    [
      'objects/Device/odd',
      object('Device', 'odd', { ...SPEC, address: 7 }),
      /odd is no Device: spec\.address/,
    ],
    [
      'objects/Device/aged',
      object('Device', 'aged', SPEC, { generation: -1 }),
      /aged is no Device: metadata\.generation/,
    ],
    ['objects/Service/s', '{}', /Service\/s is no Service/],
    ['objects/Nonsense/x', '{}', /Nonsense\/x is of no kind/],
    ['objects/Device', '{}', /objects\/Device is no Device/],
    ['objects/', '{}', /is of no kind/],
  ];
  const foreign = ['else', 'leases/x', 'digests/sha256:0', 'chunks/sha256:0/000000', 'terms/', 'holders/x/y'];

  it('is gone by as far as it is whole, and what is not is named; both when it is read and when it is watched', async () => {
    for (const [key, value] of wrong.slice(0, 9)) await put(key, value);
    for (const key of foreign) await put(key, key === 'terms/' ? '5' : '\u0000\xff');
    await put('events/0-garbage', 'nonsense');
    const said: string[] = [];
    const store = await openStore(`etcd:${place}`);
    const daemon = await startDaemon({
      store,
      listen: { address: `unix:${join(folder, 'c.sock')}` },
      version: '0',
      parts: [
        async (objects) =>
          new Reconciler(objects, { folder: join(folder, 'programs'), onFault: (text) => said.push(text) }),
      ],
    });
    open.push(daemon);
    const cli = (...argv: string[]) => intransit(...argv, '--controller', daemon.address);
    const file = join(folder, 'd.yaml');
    writeFileSync(file, device('whole', 1));
    expect(await cli('apply', '-f', file)).toMatchObject({ code: 0 });
    await vi.waitFor(() => expect(said).toHaveLength(9), { timeout: 20_000 });
    // And now while it runs.
    for (const [key, value] of wrong.slice(9)) await put(key, value);
    await vi.waitFor(() => expect(said).toHaveLength(wrong.length), { timeout: 20_000 });
    for (const [, , text] of wrong) expect(said.join('\n')).toMatch(text);
    expect(said.join('\n')).not.toContain('xxxx');
    const listed = await cli('get', 'devices', '-o', 'json');
    expect(JSON.parse(listed.out).items.map((d: { metadata: { name: string } }) => d.metadata.name)).toEqual([
      'whole',
    ]);
    // The log tells it too, and of what stands in the log itself.
    await vi.waitFor(
      async () => {
        const { out } = await cli('events', '-o', 'json');
        const damaged = JSON.parse(out).items.filter((e: { reason: string }) => e.reason === 'Damaged');
        expect(damaged.map((e: { object: { name: string } }) => e.object.name)).toEqual(
          expect.arrayContaining(['text', 'large', 'odd', `${PREFIX}events/0-garbage`]),
        );
      },
      { timeout: 20_000 },
    );
    // It is said what the matter is, and it can be put right.
    const told = await cli('get', 'device', 'text');
    expect([told.code, told.err]).toEqual([
      1,
      expect.stringMatching(/Device\/text is no JSON: it is left alone/),
    ]);
    expect((await cli('delete', 'device', 'text')).code).toBe(0);
    expect((await cli('get', 'device', 'text')).err).toMatch(/there is no Device\/text/);
    writeFileSync(file, device('odd', 3));
    expect(await cli('apply', '-f', file)).toMatchObject({ code: 0 });
    expect((await cli('get', 'device', 'odd')).code).toBe(0);
    expect(said.slice(wrong.length)).toEqual([]);
  });

  it('a term that cannot be read is said, and not begun anew', async () => {
    const [prefix, said] = ['/terms-test', [] as string[]];
    const key = Buffer.from(`${prefix}/terms/controller`);
    const write = (value: string) =>
      rpc.call('KV.Txn', { compare: [], success: [{ request_put: { key, value: Buffer.from(value) } }] });
    await write('1e3');
    const daemon = await startDaemon({
      store: await openStore(`etcd:${place}${prefix}`),
      listen: { address: `unix:${join(folder, 't.sock')}` },
      version: '0',
      parts: [
        async (objects) =>
          new Reconciler(objects, { folder: join(folder, 'p'), onFault: (text) => said.push(text) }),
      ],
    });
    open.push(daemon);
    await vi.waitFor(
      () => expect(said.join()).toMatch(/the key \/terms-test\/terms\/controller holds no term/),
      { timeout: 20_000 },
    );
    await write('41');
    await vi.waitFor(
      async () =>
        expect((await daemon.objects.store.events({ limit: 10 })).map((e) => e.message)).toContain('term 42'),
      { timeout: 20_000 },
    );
  });
});

describeWithTools(['etcd', 'openssl'], 'an etcd behind TLS', () => {
  const folder = testFolder();
  const ca = makeCertificate(folder, 'ca');
  const other = makeCertificate(folder, 'other');
  const server = makeCertificate(folder, 'server', ca);
  const client = makeCertificate(folder, 'client', ca);
  const stranger = makeCertificate(folder, 'stranger', other);
  const garbage = join(folder, 'garbage.pem');
  writeFileSync(garbage, 'what is this');
  const env = (ETCDCTL_CACERT = '', ETCDCTL_CERT = '', ETCDCTL_KEY = ''): void => {
    for (const [name, value] of Object.entries({ ETCDCTL_CACERT, ETCDCTL_CERT, ETCDCTL_KEY }))
      vi.stubEnv(name, value);
  };
  let place = '';
  let end = () => {};
  beforeAll(async () => {
    env(ca.certFile, client.certFile, client.keyFile);
    const tls = [
      '--cert-file',
      server.certFile,
      '--key-file',
      server.keyFile,
      '--trusted-ca-file',
      ca.certFile,
    ];
    const etcd = await startEtcd(folder, [...tls, '--client-cert-auth'], 'https');
    place = `etcd:${etcd.place}`;
    end = () => void etcd.kill();
  });
  afterAll(() => {
    vi.unstubAllEnvs();
    end();
  });

  it('is asked with the right certificates', async () => {
    env(ca.certFile, client.certFile, client.keyFile);
    const store = await openStore(place);
    await store.commit({ changes: [{ op: 'put', kind: 'A', name: 'a', value: 1, expect: 'absent' }] });
    expect((await store.read()).records).toHaveLength(1);
    await store.close();
  });

  const cases: Readonly<Record<string, readonly [files: readonly string[], said: RegExp]>> = {
    'one of another authority at the server': [
      [other.certFile, client.certFile, client.keyFile],
      /certificate.*ETCDCTL_CACERT/s,
    ],
    'one of another authority of ours': [
      [ca.certFile, stranger.certFile, stranger.keyFile],
      /etcd: .*ETCDCTL_CERT/s,
    ],
    'none of ours': [[ca.certFile], /etcd: .*takes the one of ETCDCTL_CERT/s],
    'no TLS': [[], /etcd: .*without TLS \(else set ETCDCTL_CACERT\)/s],
    'a certificate without its key': [
      [ca.certFile, client.certFile],
      /ETCDCTL_CERT and ETCDCTL_KEY belong together/,
    ],
    'a certificate without an authority': [
      ['', client.certFile, client.keyFile],
      /belong together, and to ETCDCTL_CACERT/,
    ],
    'the key of another': [
      [ca.certFile, client.certFile, server.keyFile],
      /cannot be used: .*key values mismatch/,
    ],
    'a file that is no PEM': [[ca.certFile, garbage, client.keyFile], /cannot be used: .*PEM/],
    'a file that is not there': [[join(folder, 'none.pem')], /none\.pem: .*cannot be read/],
  };
  for (const [title, [files, said]] of Object.entries(cases))
    it(`is refused with ${title}`, async () => {
      env(...files);
      const { code, err } = await intransit(
        'controller',
        '--store',
        place,
        '--listen',
        `unix:${join(folder, 'x.sock')}`,
      );
      expect([code, err]).toEqual([1, expect.stringMatching(said)]);
      expect(err).not.toMatch(/internal error|^\s+at /m);
    });
});
