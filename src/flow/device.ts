import { insertion } from '../backends/common/entries.ts';
import { FLOW_DIGEST_ID, flowDigest } from '../backends/common/flow/tables.ts';
import { cross, ports } from '../backends/common/table-model.ts';
import { type FlowDeviceReport, readFlowCounts } from '../controller/flow-counts.ts';
import { refuse } from '../diagnostics/index.ts';
import type { FeatureDefinition } from '../features/definition.ts';
import type { Model } from '../model/model.ts';
import { type Init, P4Client, P4RuntimeError, type TlsOptions } from '../p4runtime/index.ts';
import type { ToldVerdict } from '../runtime/xdp/flow-actions.ts';
import { actionUpdates, type NamedAction } from './actions.ts';
import { type DeviceEscalation, escalationUpdates } from './larger-updates.ts';
import type { FlowPipeline } from './options.ts';
import { type FlowSet, mostFeaturesOf } from './set.ts';
import { flowPipelines, setPipelines } from './targets.ts';

/** A host has the kernel check each program before it answers. */
const PUSH_TIMEOUT_MS = 120_000;

/** A device of P4Runtime that is to classify flows. */
export interface FlowDevice {
  /** `unix:PATH` or `HOST:PORT`. */
  readonly address: string;
  readonly deviceId: bigint;
  readonly kind: 'xdp' | 'bmv2';
  /** Without, the connection is not encrypted. */
  readonly tls: TlsOptions | undefined;
  /** Ports whose packets cross to another. */
  readonly ports: readonly { readonly from: number; readonly to: number }[];
  /** Who is asked about flows of low margin, as the device reaches it. */
  readonly escalation?: DeviceEscalation | undefined;
}

/** What a device is to run. */
export interface DeviceProgram {
  /** Where its faults are. */
  readonly file: string;
  /** Compiles it. @throws DiagnosticError */
  readonly pipeline: () => Promise<FlowPipeline>;
  /** Features of a model, the most of several. */
  readonly features: number;
  /** Of several models. */
  readonly names?: readonly string[];
}

/** The program of one model. */
export const deviceProgram = (
  definition: FeatureDefinition,
  model: Model,
  device: Pick<FlowDevice, 'kind' | 'escalation'>,
): DeviceProgram => ({
  file: model.file,
  pipeline: () => flowPipelines[device.kind]!(definition, model, device.escalation !== undefined),
  features: definition.features.length,
});

/** Of several models beside each other. */
export const deviceSetProgram = (set: FlowSet, { kind }: Pick<FlowDevice, 'kind'>): DeviceProgram => ({
  file: set.file,
  pipeline: () => setPipelines[kind]!(set),
  features: mostFeaturesOf(set),
  names: set.members.map((m) => m.name),
});

/**
 * Pushes the program to a device, writes weights, ports and actions, and waits; what it was given stays there.
 * @param count of the classes
 * @throws DiagnosticError `flow-device` where the device refuses
 */
export async function classifyOnDevice(
  { file, pipeline, features, names = [] }: DeviceProgram,
  device: FlowDevice,
  actions: readonly NamedAction[],
  count: number,
  events: {
    readonly until: () => Promise<unknown>;
    readonly ready: () => void;
    readonly told: (verdict: ToldVerdict) => void;
    /** The device cannot be reached any more; it is tried again. */
    readonly lost: (reason: string) => void;
  },
): Promise<FlowDeviceReport> {
  const updates = actions.flatMap((a) => actionUpdates(a, file));
  const { config, updates: weights } = await pipeline();
  const client = new P4Client({
    address: device.address,
    deviceId: device.deviceId,
    ...(device.tls && { tls: device.tls }),
  });
  try {
    await client.connect();
    await client.pipeline.commit(config, { timeoutMs: PUSH_TIMEOUT_MS });
    await client.write([
      ...weights,
      ...device.ports.map(({ from, to }) =>
        insertion({ table: ports, keys: [from], action: cross, parameters: [to] }),
      ),
      ...updates,
      ...(device.escalation ? escalationUpdates(device.escalation, features) : []),
    ]);
    client.on('digest', (list) => {
      for (const data of list.data) events.told(verdictOf(data, features));
      // One that gets no acknowledgement tells the flows again, or is lost, which is said below.
      if (client.state().kind === 'primary') client.acknowledge(list).catch(() => {});
    });
    client.on('state', (state) => {
      if (state.kind === 'disconnected' && state.attempt === 0)
        events.lost(state.error?.message ?? 'the connection ended');
    });
    if (actions.some((a) => a.tell))
      await client.insert([
        { digestEntry: { digestId: FLOW_DIGEST_ID, config: { maxTimeoutNs: 10_000_000n, maxListSize: 16 } } },
      ]);
    events.ready();
    await events.until();
    return await readFlowCounts(client, count, names);
  } catch (error) {
    if (!(error instanceof P4RuntimeError)) throw error;
    const [update] = error.updates;
    return refuse('flow-device', { address: device.address, reason: update?.message ?? error.message });
  } finally {
    client.close();
  }
}

/** A digest's data, in the order of its fields. */
function verdictOf(data: Init<'P4Data'>, features: number): ToldVerdict {
  const members = data.struct?.members ?? [];
  const names = flowDigest(features, FLOW_DIGEST_ID).fields.map((f) => f.name);
  const bytes = (name: string, width: number): Buffer => {
    const given = Buffer.from(members[names.indexOf(name)]?.bitstring ?? []);
    return Buffer.concat([Buffer.alloc(Math.max(0, width - given.length)), given]);
  };
  const number = (name: string): number => bytes(name, 4).readUInt32BE();
  return {
    kind: 'verdict',
    class: number('class'),
    margin: number('margin'),
    ipVersion: number('ip_version'),
    protocol: number('ip_protocol'),
    client: bytes('client', 16),
    clientPort: number('client_port'),
    server: bytes('server', 16),
    serverPort: number('server_port'),
    features: bytes('features', features),
  };
}
