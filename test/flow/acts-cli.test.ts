import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RawSocket } from '../agent/raw-socket.ts';
import { udp4 } from '../features/packets.ts';
import { makeCertificate } from '../p4runtime/support/certificates.ts';
import { startServer } from '../p4runtime/support/server.ts';
import { intransit, startIntransit, testFolder } from '../support/io.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import { identityDocument } from '../support/small-models.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

const folder = testFolder();
const at = (name: string): string => join(folder, name);
const write = (name: string, text: string): string => {
  writeFileSync(at(name), text);
  return at(name);
};

/** The class is said by the port. */
const FEATURES = write(
  'features.yaml',
  `apiVersion: intransit.dev/v1alpha1
kind: Features
metadata: { name: by-port }
spec:
  features: { a: "port.server == 1000 ? 200 : 0", b: "port.server == 1001 ? 200 : 0", c: "1" }
  classes: [red, green, blue]
`,
);
const MODEL = write('model.json', JSON.stringify(identityDocument('by-port', 3)));
const actions = (classes: string, name = 'actions.yaml'): string =>
  write(
    name,
    `apiVersion: intransit.dev/v1alpha1\nkind: FlowActions\nmetadata: { name: test }\nspec:\n  classes: ${classes}\n`,
  );
const base = ['classify', MODEL, '--features', FEATURES];

describe('a file of actions', () => {
  const wrong: Readonly<Record<string, readonly [string, string]>> = {
    'a class that there is not': ['{ pink: { drop: true } }', 'spec.classes.pink: is no class of the model'],
    'a class twice': ['{ red: { drop: true }, 0: { drop: true } }', 'is the class'],
    'a DSCP of 64': ['{ red: { dscp: 64 } }', 'spec.classes.red.dscp'],
    'a rate without a unit': ['{ red: { rate: 100 } }', 'expected a rate with its unit'],
    'a burst alone': ['{ red: { burst: 1KiB } }', 'goes with a rate'],
    'two ways': ['{ red: { drop: true, redirect: eth1 } }', 'contradict each other'],
    'a field that there is not': ['{ red: { mark: 1 } }', 'spec.classes.red'],
    'no class': ['{}', 'names no class'],
  };
  for (const [what, [classes, said]] of Object.entries(wrong))
    it(`refuses ${what}`, async () => {
      const file = actions(classes, 'wrong.yaml');
      const { code, err } = await intransit(...base, '--live', 'lo', '--actions', file);
      expect([code, err]).toEqual([1, expect.stringContaining(said)]);
      expect(err).toContain('wrong.yaml');
    });

  it('goes with an interface or a device, and ports with a device', async () => {
    const file = actions('{ red: { drop: true } }');
    const usage = async (...argv: string[]) => (await intransit(...base, ...argv)).code;
    expect(await usage('--pcap', 'x.pcap', '--actions', file)).toBe(2);
    expect(await usage('--live', 'lo', '--ports', '1=2')).toBe(2);
    expect(await usage('--device', 'unix:/nowhere', '--actions', file)).toBe(2);
    expect(await usage('--device', 'unix:/nowhere', '--on', 'xdp', '--ports', '1')).toBe(2);
    expect(await usage('--device', 'unix:/nowhere', '--on', 'xdp', '--device-id', 'x')).toBe(2);
    const named = actions('{ red: { redirect: eth1 } }', 'named.yaml');
    const { code, err } = await intransit(...base, '--device', 'unix:/no', '--on', 'xdp', '--actions', named);
    expect([code, err]).toEqual([1, expect.stringContaining('eth1 is no number of a port')]);
  });
});

/** A device that keeps what it is given, behind TLS. */
describeWithTools(['p4c-bm2-ss', 'openssl'], 'classify --device over TLS', () => {
  it('comes in with the right certificates, and no others', async () => {
    const [ca, stranger] = [makeCertificate(folder, 'ca'), makeCertificate(folder, 'stranger')];
    const [server, client] = [makeCertificate(folder, 'server', ca), makeCertificate(folder, 'client', ca)];
    const running = await startServer({
      listen: { tls: { ca: ca.cert, cert: server.cert, key: server.key } },
    });
    const device = ['--device', running.address, '--on', 'bmv2', '--seconds', '0.1', '--json'];
    const own = ['--tls-cert', client.certFile, '--tls-key', client.keyFile];
    try {
      const good = await intransit(...base, ...device, '--tls-ca', ca.certFile, ...own);
      expect([good.code, JSON.parse(good.out).device]).toEqual([0, running.address]);
      const wrongs = [
        [],
        ['--tls-ca', ca.certFile],
        ['--tls-ca', stranger.certFile, ...own],
        ['--tls-ca', ca.certFile, '--tls-cert', stranger.certFile, '--tls-key', stranger.keyFile],
        ['--tls-ca', ca.certFile, ...own, '--tls-name', 'elsewhere'],
      ];
      // Each tries for seconds, in case the device is just starting.
      const refused = await Promise.all(wrongs.map((wrong) => intransit(...base, ...device, ...wrong)));
      for (const [i, { code, out, err }] of refused.entries()) {
        expect([wrongs[i], code, out]).toEqual([wrongs[i], 1, '']);
        expect(err).toContain(`the device at ${running.address} does not do it`);
      }
      const absent = await intransit(...base, ...device, '--tls-ca', at('no.pem'));
      expect([absent.code, absent.err]).toEqual([1, expect.stringContaining('no.pem')]);
      const half = await intransit(...base, ...device, '--tls-ca', ca.certFile, ...own.slice(0, 2));
      expect(half.code).toBe(2);
    } finally {
      await running.close();
    }
  });
});

const netns = `ita${process.pid}`;
const [here, there, other, far] = ['a', 'b', 'c', 'd'].map((x) => `ia${process.pid}${x}`) as [
  string,
  string,
  string,
  string,
];
const ip = (...argv: string[]) => execFileSync('ip', argv, { stdio: 'pipe' });

describeWith([...loading], 'classify --live --actions', () => {
  beforeAll(() => {
    ip('netns', 'add', netns);
    for (const [near, peer] of [
      [here, there],
      [other, far],
    ] as const) {
      ip('link', 'add', near, 'type', 'veth', 'peer', 'name', peer, 'netns', netns);
      ip('link', 'set', near, 'up');
      ip('-n', netns, 'link', 'set', peer, 'up');
    }
  });
  afterAll(() => {
    ip('netns', 'del', netns);
  });

  it('redirects, copies and drops by the class, and tells what it did', async () => {
    const file = actions(
      `{ red: { redirect: ${other}, dscp: 46 }, green: { copy: ${other}, tell: true }, blue: { rate: 8bit, burst: 200B } }`,
    );
    const argv = [...base, '--live', here, '--actions', file, '--json'];
    const { child, ended, out, err, says } = startIntransit(argv);
    await says('classifying');
    using sender = new RawSocket(netns, there);
    using receiver = new RawSocket(netns, far);
    const payload = Array<number>(58).fill(1);
    const frame = (destinationPort: number) => udp4({ destinationPort, payload });
    for (let i = 0; i < 3; i++) for (const port of [1000, 1001, 1002]) sender.send(frame(port));
    const got = await receiver.until(6, 20_000);
    const ours = got.filter((f) => f.length === 100);
    const [red, green] = [1000, 1001].map((port) => ours.filter((f) => f.readUInt16BE(36) === port));
    expect([ours.length, red!.length, green!.length]).toEqual([6, 3, 3]);
    for (const f of red!) expect(f[15]).toBe(46 << 2);
    for (const f of green!) expect(Buffer.compare(f, frame(1001))).toBe(0);
    await vi.waitFor(
      () => expect(err()).toMatch(/UDP 192\.0\.2\.1:40000 to 198\.51\.100\.2:1001: green, margin/),
      {
        timeout: 20_000,
      },
    );
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    const report = JSON.parse(out());
    expect(report.actions).toEqual([
      { class: 0, name: 'red', packets: 3, bytes: 300, limitedPackets: 0, limitedBytes: 0 },
      { class: 1, name: 'green', packets: 3, bytes: 300, limitedPackets: 0, limitedBytes: 0 },
      { class: 2, name: 'blue', packets: 3, bytes: 300, limitedPackets: 1, limitedBytes: 100 },
    ]);
  });
});
