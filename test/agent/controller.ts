/** What a controller does with a host: pushes a program, writes entries, sends requests through it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, type AgentOptions, startAgent } from '../../src/agent/index.ts';
import { tableEntry } from '../../src/backends/common/entries.ts';
import { outcomeCounter } from '../../src/backends/common/table-model.ts';
import { encodeDeviceConfig } from '../../src/backends/xdp/device-config.ts';
import { emitXdp } from '../../src/backends/xdp/emit.ts';
import { weightEntries } from '../../src/backends/xdp/entries.ts';
import { xdpP4Info } from '../../src/backends/xdp/p4info.ts';
import type { XdpPlan } from '../../src/backends/xdp/plan.ts';
import {
  type Init,
  P4Client,
  type P4ClientOptions,
  P4Program,
  type PipelineConfig,
  parseP4Info,
} from '../../src/p4runtime/index.ts';
import { buildXdp } from '../../src/runtime/xdp/engine.ts';
import { temporaryFolder } from '../../src/temporary.ts';
import { type PacketOutcome, packetOutcomes } from '../../src/wire/index.ts';
import type { Network } from './network.ts';

type Entity = Init<'Entity'>;

/** Of one program. */
export const configOf = (plan: XdpPlan, elf: Uint8Array): Uint8Array =>
  encodeDeviceConfig([{ index: 0, source: 'test', manifest: plan, elf }]);

const objects = new Map<string, Promise<Uint8Array>>();

/** What clang makes of a source, once a process: tests of a file install the same few programs again and again. */
function objectOf(source: string): Promise<Uint8Array> {
  const compile = async () => {
    using folder = temporaryFolder();
    return readFileSync(await buildXdp(source, folder.path));
  };
  const object = objects.get(source) ?? compile();
  objects.set(source, object);
  return object;
}

export async function pipelineOf(plan: XdpPlan): Promise<PipelineConfig> {
  const elf = await objectOf(emitXdp(plan));
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

/** What is counted, without zeros. */
export async function counters(client: P4Client): Promise<Partial<Record<PacketOutcome, number>>> {
  const cells = await client.readAll([{ counterEntry: { counterId: outcomeCounter.id } }]);
  return Object.fromEntries(
    cells.flatMap((cell, i) => {
      const count = Number(cell.counterEntry?.data?.packetCount ?? 0n);
      return count === 0 ? [] : [[packetOutcomes[i]!.name, count]];
    }),
  );
}

export const example = (name: string): string => join(import.meta.dirname, '../../examples', name);
