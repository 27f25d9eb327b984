/** State that another version of the agent, or of a program of flows, has left: what runs goes on, and is told what to do. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { insertion } from '../../src/backends/common/entries.ts';
import { cross, ports } from '../../src/backends/common/table-model.ts';
import { openPinnedProgram, unpin } from '../../src/bpf/index.ts';
import { parseFeatures } from '../../src/features/index.ts';
import { flowPipelines } from '../../src/flow/targets.ts';
import { withVerdict } from '../../src/model/verdict.ts';
import { type Message, v1Codec } from '../../src/p4runtime/index.ts';
import { udp4 } from '../features/packets.ts';
import { describeWith, loading } from '../support/machine.ts';
import { modelOf } from '../support/models.ts';
import { connect, startOn } from './controller.ts';
import { layNetwork, type Network } from './network.ts';
import { spawnAgent } from './process.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 240_000 });

type Config = Message<'ForwardingPipelineConfig'>;

const definition = parseFeatures(
  [
    'apiVersion: intransit.dev/v1alpha1',
    'kind: Features',
    'metadata: { name: lengths }',
    'spec:',
    '  state: { n: { count: true } }',
    '  features: { a: "port.server == 1000 ? 200 : 0", b: "0" }',
    '  classify: { packets: [2] }',
  ].join('\n'),
  'lengths.yaml',
);
const grid = { element: 'uint8', zeroPoint: 0, scale: 1 } as const;
const model = withVerdict(
  modelOf({ ...grid, shape: [2] }, [
    {
      kind: 'dense',
      weights: [
        [1, 0],
        [0, 1],
      ],
      weightScale: 1,
      output: grid,
    },
  ]),
);
const PUSH_MS = 60_000;
const FRAME = udp4({ destinationPort: 1000 });
const codec = v1Codec('ForwardingPipelineConfig');

/** What is pushed, changed as a text: the device's part of the config. */
const changed =
  (change: (json: string) => string) =>
  (config: Config): Config => ({
    ...config,
    p4DeviceConfig: Buffer.from(change(Buffer.from(config.p4DeviceConfig).toString('utf8'))),
  });

const ofProgram = (change: (elf: Buffer) => Buffer) =>
  changed((json) => {
    const config = JSON.parse(json);
    return JSON.stringify({
      ...config,
      program: change(Buffer.from(config.program, 'base64')).toString('base64'),
    });
  });

/** All of that name in the object, by one of the same length. */
const renamed = (from: string, to: string) => (elf: Buffer) =>
  Buffer.from(elf.toString('latin1').replaceAll(`\0${from}\0`, `\0${to}\0`), 'latin1');

describeWith(loading, 'an agent on the state of another program of flows', () => {
  let network: Network;
  let pins: string;
  beforeEach(async () => {
    network = layNetwork(2);
    const agent = await startOn(network);
    const client = await connect(agent.address, { timeoutMs: PUSH_MS });
    const { config, updates } = await flowPipelines.xdp!(definition, model);
    await client.pipeline.commit(config);
    await client.write([...updates]);
    await client.write([insertion({ table: ports, keys: [1], action: cross, parameters: [2] })]);
    client.close();
    await agent.close();
    const own = `/sys/fs/bpf/intransit/${network.agentName}`;
    pins = join(own, readdirSync(own).find((name) => name !== 'links')!);
  });
  afterEach(() => network?.[Symbol.dispose]());

  /** The kept config as another version would have written it: whole, with its checksum. */
  function rewrite(change: (config: Config) => Config): void {
    const generation = readdirSync(network.stateFolder).find((name) => /^[0-9a-f]{8}$/.test(name))!;
    for (const name of ['pipeline.bin', 'pipeline-copy.bin']) {
      const path = join(network.stateFolder, generation, name);
      const bytes = readFileSync(path);
      const begin = bytes.indexOf('\n') + 1;
      const end = bytes.indexOf('\n', begin) + 1;
      const config = codec.encode(change(codec.decode(bytes.subarray(end))));
      const body = Buffer.concat([bytes.subarray(begin, end), config]);
      const checksum = createHash('sha256').update(body).digest('hex');
      writeFileSync(path, Buffer.concat([Buffer.from(`${checksum}\n`), body]));
    }
  }

  async function forwards(): Promise<boolean> {
    network.ports[0]!.socket.send(FRAME);
    return (await network.ports[1]!.socket.until(1)).length === 1;
  }

  const programId = (): number => {
    using program = openPinnedProgram(join(pins, 'entry'));
    return program.info().id;
  };

  it.each<[string, (config: Config) => Config, readonly string[], RegExp]>([
    [
      'a config of an older format',
      changed((json) => json.replaceAll('intransit-device-config/2', 'intransit-device-config/1')),
      [],
      /device config is wrong at format/,
    ],
    [
      'a manifest of an older format',
      changed((json) => json.replaceAll('intransit-flow-manifest/1', 'intransit-flow-manifest/0')),
      [],
      /device config is wrong at manifest\.format/,
    ],
    [
      'tables that are no longer those of a program',
      (config) => ({ ...config, p4info: { ...config.p4info!, tables: config.p4info!.tables.slice(1) } }),
      [],
      /the state does not fit the program: there is no table/,
    ],
    [
      'a program without a map that is worked on now',
      ofProgram(renamed('told', 'tolx')),
      ['told'],
      /does not fit \(.*\btol[dx]\b/,
    ],
    ['a program that no kernel takes', ofProgram((elf) => elf.subarray(0, 900)), ['told'], /does not fit/],
  ])('%s: leaves it alone, and says so', async (_, change, unpinned, reason) => {
    const before = programId();
    rewrite(change);
    for (const name of unpinned) unpin(join(pins, name));
    const agent = await spawnAgent(network);
    try {
      expect(agent.ready.restored).toBe(false);
      expect(agent.errors()).toMatch(reason);
      expect(agent.errors()).toContain('it is left alone until a controller pushes a pipeline');
      expect(agent.errors()).not.toMatch(/^\s+at /m);
      expect(await forwards()).toBe(true);
      expect(programId()).toBe(before);
      const client = await connect(agent.ready.address, { timeoutMs: PUSH_MS });
      const { config, updates } = await flowPipelines.xdp!(definition, model);
      await client.pipeline.commit(config);
      await client.write([...updates]);
      await client.write([insertion({ table: ports, keys: [1], action: cross, parameters: [2] })]);
      client.close();
      expect(await forwards()).toBe(true);
    } finally {
      await agent.kill('SIGTERM');
    }
  });
});
