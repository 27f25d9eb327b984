import { insertion } from '../backends/common/entries.ts';
import {
  type FlowEventName,
  type FlowOutcomeName,
  flowEvents,
  flowOutcomes,
} from '../backends/common/flow/outcomes.ts';
import {
  classCounter,
  FLOW_DIGEST_ID,
  flowCounter,
  flowDigest,
  limitedCounter,
} from '../backends/common/flow/tables.ts';
import { cross, ports } from '../backends/common/table-model.ts';
import { type ClassCounts, classEntry, rateEntity, type ToldVerdict } from '../devices/flow-actions.ts';
import { refuse } from '../diagnostics/index.ts';
import type { FeatureDefinition } from '../features/definition.ts';
import type { Model } from '../model/model.ts';
import { type Init, P4Client, P4RuntimeError, type TlsOptions, type Update } from '../p4runtime/index.ts';
import { deviceAction, type NamedAction, sessionOf, sessionUpdate, type Target } from './actions.ts';
import { type DeviceEscalation, escalationUpdates } from './larger-updates.ts';
import { flowPipelines } from './targets.ts';

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

/** What a device has counted. */
export interface FlowDeviceReport {
  readonly outcomes: Readonly<Record<FlowOutcomeName | FlowEventName, number>>;
  readonly classes: readonly ClassCounts[];
}

/**
 * Pushes the program to a device, writes weights, ports and actions, and waits; what it was given stays there.
 * @param count of the classes
 * @throws DiagnosticError `flow-device` where the device refuses
 */
export async function classifyOnDevice(
  definition: FeatureDefinition,
  model: Model,
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
  const updates = actions.flatMap((a) => actionUpdates(a, model.file));
  const { config, updates: weights } = await flowPipelines[device.kind]!(
    definition,
    model,
    device.escalation !== undefined,
  );
  const client = new P4Client({
    address: device.address,
    deviceId: device.deviceId,
    ...(device.tls && { tls: device.tls }),
  });
  try {
    await client.connect();
    await client.pipeline.commit(config);
    await client.write([
      ...weights,
      ...device.ports.map(({ from, to }) =>
        insertion({ table: ports, keys: [from], action: cross, parameters: [to] }),
      ),
      ...updates,
      ...(device.escalation ? escalationUpdates(device.escalation, definition.features.length) : []),
    ]);
    client.on('digest', (list) => {
      for (const data of list.data) events.told(verdictOf(data, definition.features.length));
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
    return await countsOf(client, count);
  } catch (error) {
    if (!(error instanceof P4RuntimeError)) throw error;
    const [update] = error.updates;
    return refuse('flow-device', { address: device.address, reason: update?.message ?? error.message });
  } finally {
    client.close();
  }
}

/** What is written for the action of one class: where copies go, then the entry, then the rate. */
function actionUpdates(a: NamedAction, file: string): Update[] {
  const portOf = (target: Target): number => {
    if (typeof target === 'number') return target;
    return refuse('actions-target', { target, what: 'no number of a port' }, { file });
  };
  return [
    ...(a.copy.length === 0 ? [] : [sessionUpdate(sessionOf(a), a.copy.map(portOf))]),
    insertion(classEntry(a.class, deviceAction(a, portOf, sessionOf(a)))),
    ...(a.rate === undefined ? [] : [{ type: 'MODIFY' as const, entity: rateEntity(a.class, a.rate) }]),
  ];
}

async function countsOf(client: P4Client, count: number): Promise<FlowDeviceReport> {
  const cells = async (counterId: number): Promise<readonly Init<'CounterData'>[]> =>
    (await client.readAll([{ counterEntry: { counterId } }])).map((e) => e.counterEntry?.data ?? {});
  const [outcomes, counts, limited] = [
    await cells(flowCounter.id),
    await cells(classCounter.id),
    await cells(limitedCounter.id),
  ];
  const names = [...flowOutcomes.map((o) => o.name), ...flowEvents] as const;
  return {
    outcomes: Object.fromEntries(
      names.map((name, i) => [name, Number(outcomes[i]?.packetCount ?? 0n)]),
    ) as FlowDeviceReport['outcomes'],
    classes: Array.from({ length: count }, (_, c) => ({
      packets: BigInt(counts[c]?.packetCount ?? 0n),
      bytes: BigInt(counts[c]?.byteCount ?? 0n),
      limitedPackets: BigInt(limited[c]?.packetCount ?? 0n),
      limitedBytes: BigInt(limited[c]?.byteCount ?? 0n),
    })),
  };
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
