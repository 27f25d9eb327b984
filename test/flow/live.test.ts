import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { startIntransit, testFolder } from '../support/io.ts';
import { describeWith, loading } from '../support/machine.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

const [netns, here, there] = [`itf${process.pid}`, `itf${process.pid}a`, `itf${process.pid}b`];
const ip = (...argv: string[]) => execFileSync('ip', argv, { stdio: 'pipe' });

describeWith([...loading], 'classify --live', () => {
  beforeAll(() => {
    ip('netns', 'add', netns);
    ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', netns);
    ip('addr', 'add', '10.97.11.1/24', 'dev', here);
    ip('link', 'set', here, 'up');
    ip('-n', netns, 'addr', 'add', '10.97.11.2/24', 'dev', there);
    ip('-n', netns, 'link', 'set', there, 'up');
  });
  afterAll(() => {
    ip('netns', 'del', netns);
  });

  it('tells the flows that an interface received', async () => {
    const report = await threePackets('traffic-16');
    const flow = report.flows.find((f: { server: string }) => f.server === '10.97.11.1:5353');
    expect(flow).toMatchObject({ transport: 'UDP', packets: 3, verdicts: 1 });
    expect(flow.client).toMatch(/^10\.97\.11\.2:\d+$/);
    expect(flow.class).toBeTypeOf('number');
    const counted = Object.values<number>(report.outcomes).reduce((a, b) => a + b, 0);
    expect(report.frames).toBe(counted);
    expect(report.outcomes.classified).toBeGreaterThanOrEqual(3);
  });

  it('tells flows that are classified at their ends, once each', async () => {
    const file = join(testFolder(), 'end.yaml');
    const numbers = Array.from({ length: 16 }, (_, i) => `    f${i}: "log8(bytes)"`);
    writeFileSync(
      file,
      [
        'apiVersion: intransit.dev/v1alpha1',
        'kind: Features',
        'metadata: { name: end }',
        'spec:',
        '  timeouts: { idle: 60s }',
        '  state: { bytes: { sum: ip.length } }',
        '  features:',
        ...numbers,
        '  classify: end',
      ].join('\n'),
    );
    const report = await threePackets(file);
    const flows = report.flows.filter((f: { server: string }) => f.server === '10.97.11.1:5353');
    expect(flows).toEqual([expect.objectContaining({ transport: 'UDP', packets: 3, verdicts: 1 })]);
    expect(flows[0].client).toMatch(/^10\.97\.11\.2:\d+$/);
    expect(flows[0].class).toBeTypeOf('number');
    expect(Math.abs(Number(flows[0].begun) - Date.now() / 1000)).toBeLessThan(600);
    expect(report.outcomes.early).toBeGreaterThanOrEqual(3);
    expect(report.verdicts).toBe(report.flows.length);
  });

  /** The report of a classification of what three datagrams bring. */
  async function threePackets(features: string) {
    const argv = ['classify', 'examples/traffic-mlp.onnx', '--features', features, '--live', here, '--json'];
    const { child, ended, out, says } = startIntransit(argv);
    await says('classifying');
    const server = createSocket('udp4');
    let received = 0;
    server.on('message', () => {
      received++;
    });
    await new Promise<void>((resolve) => server.bind(5353, '10.97.11.1', resolve));
    const send = 'exec 3> /dev/udp/10.97.11.1/5353; for i in 1 2 3; do echo $i >&3; done';
    execFileSync('ip', ['netns', 'exec', netns, 'bash', '-c', send]);
    await vi.waitFor(() => expect(received).toBe(3), { timeout: 30_000, interval: 50 });
    server.close();
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    return JSON.parse(out());
  }
});
