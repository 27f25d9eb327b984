/** What a controller does with a host: pushes a program, writes entries, sends requests through it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, type AgentOptions, startAgent } from '../../src/agent/index.ts';
import { tableEntry } from '../../src/backends/common/entries.ts';
import { verdictCounter } from '../../src/backends/common/table-model.ts';
import { encodeDeviceConfig } from '../../src/backends/xdp/device-config.ts';
import { emitXdp } from '../../src/backends/xdp/emit.ts';
import { weightEntries } from '../../src/backends/xdp/entries.ts';
import { xdpP4Info } from '../../src/backends/xdp/p4info.ts';
import type { XdpPlan } from '../../src/backends/xdp/plan.ts';
import { isHeld } from '../../src/controller/versions.ts';
import { buildXdp } from '../../src/engines/xdp.ts';
import {
  entityKey,
  type Init,
  P4Client,
  type P4ClientOptions,
  P4Program,
  type PipelineConfig,
  parseP4Info,
  v1Codec,
} from '../../src/p4runtime/index.ts';
import { temporaryFolder } from '../../src/temporary.ts';
import { type VerdictName, verdicts } from '../../src/wire/index.ts';
import { layNetwork, type Network } from './network.ts';

type Entity = Init<'Entity'>;

/** Of one program. */
export const configOf = (plan: XdpPlan, elf: Uint8Array): Uint8Array =>
  encodeDeviceConfig([{ index: 0, source: 'test', manifest: plan, elf }]);

export async function pipelineOf(plan: XdpPlan): Promise<PipelineConfig> {
  using folder = temporaryFolder();
  const elf = readFileSync(await buildXdp(emitXdp(plan), folder.path));
  return { p4info: parseP4Info(Buffer.from(xdpP4Info(plan))), deviceConfig: configOf(plan, elf) };
}

export const startOn = (network: Network, options: Partial<AgentOptions> = {}): Promise<Agent> =>
  startAgent({
    name: network.agentName,
    deviceId: 1n,
    ports: network.ports.map(({ name, port }) => ({ name, port })),
    netns: network.netns,
    stateFolder: network.stateFolder,
    ...options,
  });

export async function connect(address: string, options: Partial<P4ClientOptions> = {}): Promise<P4Client> {
  const client = new P4Client({ address, deviceId: 1, electionId: 1n, ...options });
  await client.connect();
  return client;
}

/** Entities of one program by what they mean. */
export class Entities {
  readonly plan: XdpPlan;
  readonly program: P4Program;

  constructor(plan: XdpPlan, p4info: PipelineConfig['p4info']) {
    this.plan = plan;
    this.program = new P4Program(p4info);
  }

  weights(plan: XdpPlan, slot: number): Entity[] {
    return weightEntries(plan, slot).map((entry) => ({ tableEntry: tableEntry(entry) }));
  }

  /** @param key version asked for; 0 is the current one */
  version(key: number, version: number, slot: number, threshold = 0, layers?: readonly number[]): Entity {
    const { options, model } = this.plan;
    const [first, next, count] = layers ?? [options.from, options.to, model.layers.length];
    return this.program.tableEntry({
      table: 'models',
      match: { model_id: options.modelId, model_version: key },
      action: {
        name: 'hold',
        params: { slot, version, first_layer: first!, next_layer: next!, layer_count: count!, threshold },
      },
    });
  }

  get modelId(): Entity {
    return this.program.tableEntry({
      table: 'model_ids',
      match: { model_id: this.plan.options.modelId },
      action: { name: 'held', params: {} },
    });
  }

  zone(zone: number): Entity {
    return this.program.tableEntry({
      table: 'zones',
      match: { trust_zone: zone },
      action: { name: 'permit', params: {} },
    });
  }

  port(ingress: number, egress: number | 'drop'): Entity {
    const action =
      egress === 'drop' ? { name: 'drop', params: {} } : { name: 'cross', params: { port: egress } };
    return this.program.tableEntry({ table: 'ports', match: { ingress_port: ingress }, action });
  }

  /** All of one version, current and by its number, in the order of writing. */
  installation(slot = 0, threshold = 0): Entity[] {
    const { modelVersion } = this.plan.options;
    return [
      ...this.weights(this.plan, slot),
      this.version(modelVersion, modelVersion, slot, threshold),
      this.version(0, modelVersion, slot, threshold),
      this.modelId,
    ];
  }
}

/** What more than its model a test writes to a device. */
export type MoreEntities = (e: Entities) => readonly Entity[];

/** Pushes a program and what has it compute: its model, and packets that cross between ports 1 and 2. */
export async function install(
  client: P4Client,
  plan: XdpPlan,
  more: MoreEntities = () => [],
  pipeline?: PipelineConfig,
): Promise<Entities> {
  const { p4info, deviceConfig } = pipeline ?? (await pipelineOf(plan));
  await client.pipeline.commit({ p4info, deviceConfig });
  const e = new Entities(plan, p4info);
  await client.insert([...e.installation(), e.port(1, 2), e.port(2, 1), ...more(e)]);
  return e;
}

const entityCodec = v1Codec('Entity');

/** All that a device says it holds, so that two looks at it can be compared. */
export async function everything(client: P4Client) {
  const config = await client.pipeline.get();
  const requests = [{ tableEntry: {} }, { tableEntry: { isDefaultAction: true } }, { digestEntry: {} }];
  const entities = (await client.readAll(requests)).filter(isHeld);
  return {
    cookie: config?.cookie?.cookie,
    program: config?.p4DeviceConfig.length,
    entities: entities
      .map((e) => [entityKey(e), Buffer.from(entityCodec.encode(e)).toString('base64')] as const)
      .sort((a, b) => a[0].localeCompare(b[0])),
  };
}

/** A host of some ports with an agent, and the controller that drives it. */
export interface Host {
  readonly network: Network;
  readonly agent: Agent;
  readonly client: P4Client;
}

export async function openHost(ports: number): Promise<Host> {
  const network = layNetwork(ports);
  const agent = await startOn(network);
  return { network, agent, client: await connect(agent.address) };
}

/** An agent to which `work` is done, and that ends then: its data plane goes on, its state is on disk. */
export async function leave<T>(network: Network, work: (client: P4Client) => Promise<T>): Promise<T> {
  const agent = await startOn(network);
  const client = await connect(agent.address);
  const done = await work(client);
  client.close();
  await agent.close();
  return done;
}

/** What is counted, without zeros. */
export async function counters(client: P4Client): Promise<Partial<Record<VerdictName, number>>> {
  const cells = await client.readAll([{ counterEntry: { counterId: verdictCounter.id } }]);
  return Object.fromEntries(
    cells.flatMap((cell, i) => {
      const count = Number(cell.counterEntry?.data?.packetCount ?? 0n);
      return count === 0 ? [] : [[verdicts[i]!.name, count]];
    }),
  );
}

export const example = (name: string): string => join(import.meta.dirname, '../../examples', name);
