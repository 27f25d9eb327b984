/** A larger model that `classify` asks. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RawSocket } from '../agent/raw-socket.ts';
import { tcp4, udp4 } from '../features/packets.ts';
import { intransit, startIntransit, testFolder } from '../support/io.ts';
import { describeWith, loading } from '../support/machine.ts';
import { FEATURES, grid, modelId, SMALL, startWorker } from './larger.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const folder = testFolder();
const written = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const modelFile = written(
  'model.json',
  JSON.stringify({
    format: 'intransit-model',
    version: 1,
    name: 'by-port',
    input: { ...grid, shape: [3] },
    layers: [{ kind: 'dense', weights: SMALL, weightScale: 1, output: grid }],
  }),
);
const base = ['classify', modelFile, '--features', written('features.yaml', FEATURES)];

describe('classify --larger', () => {
  const via = ['--larger-via', '3,10.9.0.1,02:00:00:00:00:01,02:00:00:00:00:02'];
  const onSwitch = ['--device', 'unix:/nowhere', '--on', 'bmv2', '--larger', '127.0.0.1', '--below', '9'];
  const usage: Readonly<Record<string, readonly string[]>> = {
    'no margin': ['--pcap', 'x.pcap', '--larger', '127.0.0.1'],
    'nobody to ask': ['--pcap', 'x.pcap', '--below', '9'],
    'captures on a switch': ['--pcap', 'x.pcap', '--on', 'bmv2', '--larger', '127.0.0.1', '--below', '9'],
    'a switch without a way': [...onSwitch],
    'a way that is none': [...onSwitch, '--larger-via', '3,10.9.0.1,02:00:00:00:00:01'],
    'a MAC that is none': [...onSwitch, '--larger-via', '3,10.9.0.1,02:00:00:00:00:01,02:00'],
    'an address that is none': [
      ...onSwitch,
      '--larger-via',
      '3,10.9.0.256,02:00:00:00:00:01,02:00:00:00:00:02',
    ],
    'a way of captures': ['--pcap', 'x.pcap', '--larger', '127.0.0.1', '--below', '9', ...via],
    'a budget of captures': ['--pcap', 'x.pcap', '--larger', '127.0.0.1', '--below', '9', '--asks', '9'],
    'a margin of 256': ['--pcap', 'x.pcap', '--larger', '127.0.0.1', '--below', '256'],
    'no port': ['--pcap', 'x.pcap', '--larger', '127.0.0.1:0', '--below', '9'],
  };
  for (const [what, argv] of Object.entries(usage))
    it(`refuses ${what}`, async () => {
      expect((await intransit(...base, ...argv)).code).toBe(2);
    });

  it('refuses a switch where the worker is not there to say how many layers its model has', async () => {
    const gone = await startWorker();
    await gone.close();
    const { code, err } = await intransit(
      ...[...base, '--device', 'unix:/nowhere', '--on', 'bmv2', ...via],
      ...['--larger', `127.0.0.1:${gone.port}`, '--below', '9'],
    );
    expect([code, err]).toEqual([1, expect.stringContaining('does not answer')]);
  });

  it('refuses captures where the worker is not there', async () => {
    const gone = await startWorker();
    await gone.close();
    const capture = join(import.meta.dirname, '../../examples/captures/ssh.pcap');
    const { code, err } = await intransit(
      ...base,
      ...['--pcap', capture, '--larger', `127.0.0.1:${gone.port}`, '--below', '9'],
    );
    expect([code, err]).toEqual([1, expect.stringContaining(`127.0.0.1:${gone.port}`)]);
    expect(err).toContain('does not answer');
  });
});

const netns = `itl${process.pid}`;
const [here, there] = ['a', 'b'].map((x) => `il${process.pid}${x}`) as [string, string];
const ip = (...argv: string[]) => execFileSync('ip', argv, { stdio: 'pipe' });

describeWith(loading, 'classify --live --larger', () => {
  beforeAll(() => {
    ip('netns', 'add', netns);
    ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', netns);
    ip('link', 'set', here, 'up');
    ip('-n', netns, 'link', 'set', there, 'up');
  });
  afterAll(() => {
    ip('netns', 'del', netns);
  });

  const atEnd = written(
    'end.yaml',
    FEATURES.replace('spec:', 'spec:\n  state: { port: { first: port.server } }\n  classify: end').replaceAll(
      'port.server ==',
      'port ==',
    ),
  );
  const RST = 4;
  const cases = {
    'of every packet': [base, (port: number) => udp4({ destinationPort: port, payload: [1] })],
    'at its end': [
      ['classify', modelFile, '--features', atEnd],
      (port: number) => tcp4({ destinationPort: port, flags: RST }),
    ],
  } as const;
  for (const [when, [argv, frame]] of Object.entries(cases))
    it(`has the verdict of the worker of the flow that it was asked about, ${when}`, async () => {
      const worker = await startWorker();
      const larger = ['--larger', `127.0.0.1:${worker.port}`, '--larger-id', `${modelId}`, '--below', '10'];
      const live = startIntransit([...argv, '--live', here, '--json', ...larger]);
      try {
        await live.says('classifying');
        using sender = new RawSocket(netns, there);
        for (const port of [1000, 1001]) sender.send(frame(port));
        await vi.waitFor(() => expect(worker.statistics().received).toBeGreaterThan(1), { timeout: 20_000 });
        live.child.kill('SIGINT');
        expect(await live.ended).toBe(0);
      } finally {
        live.child.kill();
        await worker.close();
      }
      const report = JSON.parse(live.out());
      expect(report.escalation).toEqual({ asked: 1, answered: 1, overdue: 0, shed: 0 });
      const flows = report.flows
        .filter((f: { client: string }) => f.client.startsWith('192.0.2.1:'))
        .map((f: Record<string, unknown>) => [f.server, f.name, f.margin, f.larger ?? false]);
      expect(flows).toEqual([
        ['198.51.100.2:1000', 'blue', 30, true],
        ['198.51.100.2:1001', 'green', 100, false],
      ]);
    });
});
