import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { gatherLists } from '../../src/cli/gather-lists.ts';
import { intransit, testFolder } from '../support/io.ts';
import { describeWith, loading } from '../support/machine.ts';
import { connect } from './controller.ts';
import { layNetwork, type Network } from './network.ts';
import { killAgents, spawnAgent } from './process.ts';

const folder = testFolder();

it('takes an option that is given again', () => {
  expect(gatherLists(['agent', '--interface', 'a=1', '--fresh', '--interface=b=2'], ['interface'])).toEqual([
    'agent',
    '--fresh',
    '--interface',
    'a=1',
    'b=2',
  ]);
  expect(gatherLists(['agent', '--fresh'], ['interface'])).toEqual(['agent', '--fresh']);
});

it.each([
  [[], /--name is missing/],
  [['--name', 'a b', '--interface', 'lo=1'], /letters, digits/],
  [['--name', 'a'], /--interface is missing/],
  [['--name', 'a', '--interface', 'lo'], /must be IF=PORT/],
  [['--name', 'a', '--interface', 'lo=511'], /from 0 to 510/],
  [['--name', 'a', '--interface', 'lo=1', '--interface', 'lo=2'], /named twice/],
  [['--name', 'a', '--interface', 'lo=1', '--device-id', '0'], /--device-id 0/],
  [['--name', 'a', '--interface', 'lo=1', '--tls-cert', 'x'], /both --tls-cert and --tls-key/],
  [['--name', 'a', '--interface', 'lo=1', '--mode', 'fast'], /mode/],
  [['--name', 'a', '--interface', 'lo=1', '--listen', '127.0.0.1:0'], /whoever reaches it.*--insecure/],
  [['--name', 'a', '--interface', 'lo=1', '--listen', '[::1]:0'], /whoever reaches it/],
  [['--name', 'a', '--interface', 'lo=1', '--allow', 'c'], /only --tls-ca asks/],
  [
    ['--name', 'a', '--interface', 'lo=1', '--group', 'root', '--listen', '10.0.0.1:1'],
    /--group is of a socket/,
  ],
])('wrong usage: %j', async (argv, message) => {
  const { code, err } = await intransit('agent', ...argv);
  expect([code, err]).toEqual([2, expect.stringMatching(message)]);
});

describeWith(loading, 'intransit agent', () => {
  let network: Network;
  beforeAll(() => {
    network = layNetwork(1);
  });
  afterAll(() => {
    killAgents();
    network?.[Symbol.dispose]();
  });

  it('says what is missing', async () => {
    const state = ['--state', join(folder, 'state')];
    const gone = await intransit('agent', '--name', 'test-none', '--interface', 'nope0=1', ...state);
    expect([gone.code, gone.err]).toEqual([
      1,
      expect.stringMatching(/no interface "nope0".*\n.*help: ip link show/),
    ]);
    const netns = await intransit(
      'agent',
      '--name',
      'test-none',
      '--interface',
      'lo=1',
      '--netns',
      'nope',
      ...state,
    );
    expect([netns.code, netns.err]).toEqual([
      1,
      expect.stringMatching(/no network namespace "nope".*\n.*ip netns list/),
    ]);
    const tls = ['--tls-cert', join(folder, 'none.pem'), '--tls-key', join(folder, 'none.pem')];
    const pem = await intransit('agent', '--name', 'test-none', '--interface', 'lo=1', ...tls, ...state);
    expect([pem.code, pem.err]).toEqual([1, expect.stringContaining('none.pem')]);
    const address = await intransit(
      'agent',
      '--name',
      'test-none',
      '--interface',
      'lo=1',
      '--insecure',
      '--listen',
      '192.0.2.1:1',
      ...state,
    );
    expect([address.code, address.err]).toEqual([
      1,
      expect.stringMatching(/cannot listen at 192.0.2.1:1.*\n.*--listen/s),
    ]);
    expect(existsSync('/sys/fs/bpf/intransit/test-none')).toBe(false);
  });

  it('prints one line when it is ready, and listens at a socket that a killed one has left', async () => {
    const socket = `unix:${join(folder, 'agent.sock')}`;
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const agent = await spawnAgent(network, '--listen', socket, '--device-id', '12');
      expect(agent.ready).toEqual({
        name: network.agentName,
        deviceId: 12,
        address: socket,
        pid: agent.child.pid,
        restored: false,
        interfaces: [{ interface: 'eth1', port: 1, mode: null }],
      });
      const client = await connect(socket, { deviceId: 12 });
      client.close();
      await agent.kill(signal);
      expect(agent.errors()).toContain(`intransit agent ${network.agentName}: primary: election id 1\n`);
    }
  });
});
