import { deviceTables } from '../../backends/common/table-model.ts';
import { isOf } from '../../controller/versions.ts';
import { requestsOf } from '../sight/distribution.ts';
import { exposition, type Family } from '../sight/exposition.ts';
import type { Sight } from '../sight/sight.ts';
import type { FlowPlan } from './flow-policies.ts';
import type { FlowSight } from './flow-sight.ts';
import type { PlacedService } from './goals.ts';
import type { ManagedNode } from './node.ts';

/** Nodes that have series of their own. */
const MOST_NODES = 500;

/** Policies of flows, and what was counted for them. */
export interface CountedFlows {
  readonly sight: FlowSight;
  readonly plans: readonly FlowPlan[];
}

/** What Prometheus reads of the traffic: labels are names of objects, versions, and words of ours. */
export function trafficMetrics(
  sight: Sight,
  nodes: readonly ManagedNode[],
  placed: readonly PlacedService[],
  { sight: flowSight, plans }: CountedFlows,
): string {
  const shown = nodes.slice(0, MOST_NODES);
  const devices = shown.filter((n) => n.kind === 'Device');
  const workers = shown.filter((n) => n.kind === 'Worker');
  return exposition([
    ...deviceFamilies(sight, devices),
    ...workerFamilies(sight, workers),
    ...serviceFamilies(sight, placed),
    ...flowFamilies(flowSight, plans),
    {
      name: 'intransit_staleness_seconds',
      help: 'Since the counts of a node were read last',
      type: 'gauge',
      samples: shown.flatMap(({ kind, name }) => {
        const ms = sight.stalenessMs(name);
        return ms === undefined ? [] : [{ labels: { kind, name }, value: ms / 1000 }];
      }),
    },
  ]);
}

function deviceFamilies(sight: Sight, devices: readonly ManagedNode[]): readonly Family[] {
  return [
    {
      name: 'intransit_device_packets_total',
      help: 'Packets of a device by what became of them',
      type: 'counter',
      samples: devices.flatMap(({ name }) =>
        Object.entries(sight.deviceOutcomes(name)).map(([outcome, value]) => ({
          labels: { device: name, outcome },
          value,
        })),
      ),
    },
    {
      name: 'intransit_device_packet_reasons_total',
      help: 'The same in detail: why packets passed or were refused',
      type: 'counter',
      samples: devices.flatMap(({ name }) =>
        [...sight.deviceTotals(name)].map(([reason, value]) => ({
          labels: { device: name, reason },
          value,
        })),
      ),
    },
    {
      name: 'intransit_inferences_total',
      help: 'Requests of a version at a device by what became of them',
      type: 'counter',
      samples: devices.flatMap(({ name }) =>
        sight.deviceVersions(name).flatMap(({ modelId, version, totals }) =>
          [...totals].map(([outcome, value]) => ({
            labels: { device: name, model: modelId, version, outcome },
            value,
          })),
        ),
      ),
    },
    {
      name: 'intransit_table_entries',
      help: 'Entries of the tables of a device, as read back last',
      type: 'gauge',
      samples: devices.flatMap(({ name, observed }) =>
        deviceTables.map((table) => ({
          labels: { device: name, table: table.name },
          value: observed.on === 'device' ? observed.entities.filter((e) => isOf(table, e)).length : 0,
        })),
      ),
    },
    {
      name: 'intransit_table_size',
      help: 'Entries for which a table has room',
      type: 'gauge',
      samples: deviceTables.map(({ name, size }) => ({ labels: { table: name }, value: size })),
    },
  ];
}

function workerFamilies(sight: Sight, workers: readonly ManagedNode[]): readonly Family[] {
  const loads = workers.flatMap(({ name }) => {
    const load = sight.workerLoad(name);
    return load === undefined ? [] : [{ labels: { worker: name }, load }];
  });
  const gauge = (name: string, help: string, of: (load: (typeof loads)[number]['load']) => number) =>
    ({
      ...{ name, help, type: 'gauge' as const },
      samples: loads.map(({ labels, load }) => ({ labels, value: of(load) })),
    }) satisfies Family;
  return [
    {
      name: 'intransit_worker_refused_total',
      help: 'Requests that a worker answered by an error, by reason',
      type: 'counter',
      samples: workers.flatMap(({ name }) =>
        [...sight.workerRefusals(name)].map(([reason, value]) => ({
          labels: { worker: name, reason },
          value,
        })),
      ),
    },
    gauge('intransit_worker_queue', 'Rows that wait', (l) => l.queue),
    gauge('intransit_worker_busy', 'Share of the last second in which it was at work', (l) => l.busy),
    gauge('intransit_worker_overloaded', '1 where it says that rows wait too long', (l) =>
      l.isOverloaded ? 1 : 0,
    ),
  ];
}

function serviceFamilies(sight: Sight, placed: readonly PlacedService[]): readonly Family[] {
  const measured = placed.slice(0, MOST_NODES).flatMap(({ service, modelId }) =>
    sight.versions(modelId).flatMap((version) =>
      (['edge', 'worker'] as const).map((by) => ({
        labels: { service: service.name, version, by },
        measured: sight.measuredAt(by, modelId, version, 'total'),
      })),
    ),
  );
  const heard = measured.filter(({ measured: m }) => requestsOf(m) > 0);
  return [
    {
      name: 'intransit_answers_total',
      help: 'Answers of a service by version, as edges have heard and workers have given them',
      type: 'counter',
      samples: heard.map(({ labels, measured: m }) => ({ labels, value: m.answered })),
    },
    {
      name: 'intransit_unanswered_total',
      help: 'Requests of a service that got no answer, by version',
      type: 'counter',
      samples: heard.map(({ labels, measured: m }) => ({ labels, value: m.failed })),
    },
    {
      name: 'intransit_latency_seconds',
      help: 'Latency of a service: at edges from end to end, at workers from arrival to answer',
      type: 'histogram',
      samples: heard,
    },
  ];
}

/** Of all devices of a policy together. */
function flowFamilies(sight: FlowSight, plans: readonly FlowPlan[]): readonly Family[] {
  const counted = plans.slice(0, MOST_NODES).flatMap((plan) => {
    const status = sight.of(plan)?.status;
    return status === undefined ? [] : [{ policy: plan.policy.name, ...status }];
  });
  const byClass = (name: string, help: string, of: 'packets' | 'bytes' | 'limitedPackets') =>
    ({
      ...{ name, help, type: 'counter' as const },
      samples: counted.flatMap(({ policy, classes }) =>
        classes.map((c) => ({ labels: { policy, class: c.name ?? c.class }, value: c[of] })),
      ),
    }) satisfies Family;
  return [
    {
      name: 'intransit_flow_outcomes_total',
      help: 'Packets of a flow policy by what became of them, and flows',
      type: 'counter',
      samples: counted.flatMap(({ policy, outcomes }) =>
        Object.entries(outcomes).map(([outcome, value]) => ({ labels: { policy, outcome }, value })),
      ),
    },
    byClass('intransit_flow_packets_total', 'Packets of flows of a class, from their verdict on', 'packets'),
    byClass('intransit_flow_bytes_total', 'The same in bytes', 'bytes'),
    byClass(
      'intransit_flow_limited_packets_total',
      'Those of them that were beyond the rate of their class',
      'limitedPackets',
    ),
  ];
}
