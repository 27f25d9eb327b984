import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { kindNames, type StoredObject } from '../manifests/index.ts';
import type { Objects } from '../objects/index.ts';

/** Devices and workers that have a series of their own each; more are counted together by state. */
const MOST_NODES = 500;

/** What Prometheus reads. Labels are kinds, states, reasons of ours, and names of a bounded number of nodes. */
export class Metrics {
  readonly registry = new Registry();
  readonly requests = new Counter({
    name: 'intransit_api_requests_total',
    help: 'Requests by method and status',
    labelNames: ['method', 'code'],
    registers: [this.registry],
  });
  readonly requestSeconds = new Histogram({
    name: 'intransit_api_request_seconds',
    help: 'Time to the end of an answer, but for watches',
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [this.registry],
  });

  /** @param more what others add, in the text format of Prometheus */
  constructor(objects: Objects, more: () => string) {
    this.#more = more;
    collectDefaultMetrics({ register: this.registry, prefix: 'intransit_' });
    const registers = [this.registry];
    const [count, conditions, states, packets, seen, latency, version] = [
      ['intransit_objects', 'Objects by kind', ['kind']],
      [
        'intransit_conditions',
        'Conditions by kind, type, status and reason',
        ['kind', 'type', 'status', 'reason'],
      ],
      ['intransit_endpoints', 'Devices and workers by state', ['kind', 'state']],
      ['intransit_packets', 'Packets of a node or service by outcome', ['kind', 'name', 'outcome']],
      ['intransit_last_seen_seconds', 'Time since a node was last heard of', ['kind', 'name']],
      ['intransit_service_latency_seconds', 'Latency of answers, by quantile', ['name', 'quantile']],
      ['intransit_service_version', 'Current version', ['name']],
    ].map(([name, help, labelNames]) => new Gauge({ name, help, labelNames, registers } as GaugeOptions));
    count!.reset();
    this.#collect = async () => {
      for (const gauge of [count, conditions, states, packets, seen, latency, version]) gauge!.reset();
      const { objects: all } = await objects.list();
      for (const kind of kindNames) count!.set({ kind }, all.filter((o) => o.kind === kind).length);
      for (const object of all) tellConditions(conditions!, object);
      for (const object of all.filter(isEndpoint)) tellState(states!, object);
      for (const object of all.filter(isEndpoint).slice(0, MOST_NODES)) tellNode(packets!, seen!, object);
      for (const object of all.filter((o) => o.kind === 'Service').slice(0, MOST_NODES))
        tellService({ packets: packets!, latency: latency!, version: version! }, object);
    };
  }

  readonly #more: () => string;
  readonly #collect: () => Promise<void>;

  async text(): Promise<string> {
    await this.#collect();
    return `${await this.registry.metrics()}\n${this.#more()}`;
  }
}

type GaugeOptions = ConstructorParameters<typeof Gauge<string>>[0];
type Labelled = Gauge<string>;

const isEndpoint = ({ kind }: StoredObject) => kind === 'Device' || kind === 'Worker';

function tellConditions(gauge: Labelled, { kind, status }: StoredObject): void {
  for (const { type, status: state, reason } of status.conditions)
    gauge.inc({ kind, type, status: state, reason });
}

function tellState(gauge: Labelled, { kind, status }: StoredObject): void {
  gauge.inc({ kind, state: ('state' in status && status.state) || 'unknown' });
}

function tellNode(
  packets: Labelled,
  seen: Labelled,
  { kind, metadata: { name }, status }: StoredObject,
): void {
  if ('counters' in status)
    for (const [outcome, value] of Object.entries(status.counters ?? {}))
      packets.set({ kind, name, outcome }, value);
  if ('lastSeen' in status && status.lastSeen !== undefined)
    seen.set({ kind, name }, Math.max(0, (Date.now() - Date.parse(status.lastSeen)) / 1000));
}

function tellService(
  { packets, latency, version }: Readonly<Record<'packets' | 'latency' | 'version', Labelled>>,
  { kind, metadata: { name }, status }: StoredObject,
): void {
  if ('counters' in status)
    for (const [outcome, value] of Object.entries(status.counters ?? {}))
      packets.set({ kind, name, outcome }, value);
  if ('latency' in status && status.latency !== undefined) {
    const { p50Us, p99Us } = status.latency;
    if (p50Us !== undefined) latency.set({ name, quantile: '0.5' }, p50Us / 1e6);
    if (p99Us !== undefined) latency.set({ name, quantile: '0.99' }, p99Us / 1e6);
  }
  if ('version' in status && status.version !== undefined) version.set({ name }, status.version);
}
