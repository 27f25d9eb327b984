/** Hosts with an agent that a controller has installed a program on. */
import type { Agent } from '../../src/agent/index.ts';
import type { XdpPlan } from '../../src/backends/xdp/plan.ts';
import { isHeld } from '../../src/controller/versions.ts';
import {
  entityKey,
  type Init,
  type P4Client,
  type PipelineConfig,
  v1Codec,
} from '../../src/p4runtime/index.ts';
import { connect, Entities, pipelineOf, startOn } from './controller.ts';
import { layNetwork, type Network } from './network.ts';

type Entity = Init<'Entity'>;

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
