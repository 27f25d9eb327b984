import type { DeviceCounts } from '../../controller/device-counts.ts';
import { slotOutcomes } from '../../dataplane/abi.ts';
import type { Measures, WorkerLoad } from '../../doors/measures.ts';
import type { HeldDocument } from '../../doors/worker-protocol.ts';
import type { PacketOutcome } from '../../wire/header.ts';
import { countsOf, type Measured, measuredBy, together } from './distribution.ts';
import { Tally } from './tally.ts';

/** What becomes of packets at a device, as it is told: of what it was asked, and of what only went through. */
export type Outcome = 'computed' | 'passed' | 'shed' | 'refused';

/** Requests with something wrong in them are refused; what is meant for others, or no request, passes. */
const sumOf: Readonly<Record<PacketOutcome, Outcome>> = {
  computed: 'computed',
  // The layers were computed; who is sure of it is another matter.
  unsure: 'computed',
  shed: 'shed',
  foreign: 'passed',
  ip_fragment: 'passed',
  not_request: 'passed',
  unknown_model: 'passed',
  unknown_version: 'passed',
  cursor_elsewhere: 'passed',
  ip_options: 'refused',
  truncated: 'refused',
  bad_magic: 'refused',
  bad_shape: 'refused',
  oversized: 'refused',
  tensor_fragment: 'refused',
  zone_refused: 'refused',
  failed: 'refused',
  bad_checksum: 'refused',
};
const packetOutcomeNames = Object.keys(sumOf) as PacketOutcome[];

/** Rates a second over the window. */
export type Rates = Readonly<Record<Outcome, number>>;

/** What one device does with one version. */
export interface VersionCounts {
  readonly modelId: number;
  readonly version: number;
  /** By outcome of a slot: totals, and rates a second. */
  readonly totals: ReadonlyMap<string, number>;
  readonly rates: ReadonlyMap<string, number>;
}

/** Who measured: at the edge from end to end, or where the path ends, from arrival to answer. */
export type Vantage = 'edge' | 'worker';

interface Device {
  readonly tally: Tally;
  versions: readonly { readonly modelId: number; readonly version: number }[];
}

interface Worker {
  readonly tally: Tally;
  load: WorkerLoad | undefined;
}

/**
 * What is known of the traffic: read from devices, told by workers with each answer of their doors, reported by edges. Kept in memory over a
 * window of 10 s; a controller that begins knows nothing yet.
 */
export class Sight {
  readonly #devices = new Map<string, Device>();
  readonly #workers = new Map<string, Worker>();
  #edges = new Tally('begin at 0');

  device(name: string, counts: DeviceCounts): void {
    const device = this.#devices.get(name) ?? { tally: new Tally('are known from then on'), versions: [] };
    this.#devices.set(name, device);
    device.versions = counts.versions;
    const named = [
      ...counts.packets,
      ...counts.versions.flatMap(({ modelId, version, outcomes: own }) =>
        [...own].map(([outcome, n]) => [`${modelId}/${version}/${outcome}`, n] as const),
      ),
    ];
    device.tally.add(named, performance.now());
  }

  worker(name: string, { models, load }: HeldDocument): void {
    const worker = this.#workers.get(name) ?? { tally: new Tally('begin at 0'), load };
    this.#workers.set(name, worker);
    worker.load = load;
    const refused = Object.entries(load?.refused ?? {}).map(
      ([reason, n]) => [`refused/${reason}`, n] as const,
    );
    const versions = models.flatMap(({ modelId, versions: own }) =>
      own.flatMap(({ version, measures }) =>
        measures === undefined ? [] : [...countsOf(`${modelId}/${version}`, measures)],
      ),
    );
    worker.tally.add([...refused, ...versions], performance.now());
  }

  /** What an edge has measured since it reported last. */
  edge(modelId: number, version: number, measures: Measures): void {
    this.#edges.rose(countsOf(`${modelId}/${version}`, measures), performance.now());
  }

  /** Of nodes that are gone nothing is kept. */
  keep(devices: ReadonlySet<string>, workers: ReadonlySet<string>): void {
    for (const name of this.#devices.keys()) if (!devices.has(name)) this.#devices.delete(name);
    for (const name of this.#workers.keys()) if (!workers.has(name)) this.#workers.delete(name);
  }

  /** Everything is forgotten: another one leads. */
  clear(): void {
    this.keep(new Set(), new Set());
    this.#edges = new Tally('begin at 0');
  }

  /** Since a node was last read, ms; undefined before the first time. */
  stalenessMs(name: string): number | undefined {
    const at = (this.#devices.get(name) ?? this.#workers.get(name))?.tally.at;
    return at === undefined ? undefined : performance.now() - at;
  }

  /** What becomes of packets at a device; undefined while it has not been read twice. */
  deviceRates(name: string): Rates | undefined {
    const tally = this.#devices.get(name)?.tally;
    return tally && this.#byOutcome((outcome) => tally.rate(outcome, performance.now()));
  }

  /** Packets by outcome since the device was first read, and what it had counted then; those that there are. */
  deviceTotals(name: string): ReadonlyMap<PacketOutcome, number> {
    const tally = this.#devices.get(name)?.tally;
    return new Map(
      packetOutcomeNames.map((v) => [v, tally?.total(v) ?? 0] as const).filter(([, n]) => n > 0),
    );
  }

  deviceOutcomes(name: string): Readonly<Record<Outcome, number>> {
    const totals = this.deviceTotals(name);
    return this.#byOutcome((outcome) => totals.get(outcome) ?? 0);
  }

  #byOutcome(of: (outcome: PacketOutcome) => number): Rates {
    const sums = { computed: 0, passed: 0, shed: 0, refused: 0 };
    for (const outcome of packetOutcomeNames) sums[sumOf[outcome]] += of(outcome);
    return sums;
  }

  deviceVersions(name: string): readonly VersionCounts[] {
    const device = this.#devices.get(name);
    if (device === undefined) return [];
    const { tally, versions } = device;
    return versions.map(({ modelId, version }) => {
      const of = (read: (count: string) => number) =>
        new Map(slotOutcomes.map((o) => [o, read(`${modelId}/${version}/${o}`)]));
      return {
        ...{ modelId, version },
        totals: of((count) => tally.total(count)),
        rates: of((count) => tally.rate(count, performance.now())),
      };
    });
  }

  workerLoad(name: string): WorkerLoad | undefined {
    return this.#workers.get(name)?.load;
  }

  /** Answers and refusals a second of a worker. */
  workerRates(name: string): { readonly computed: number; readonly refused: number } | undefined {
    const tally = this.#workers.get(name)?.tally;
    if (tally === undefined) return undefined;
    const rates = { computed: 0, refused: 0 };
    for (const count of tally.names()) {
      if (count.endsWith('/answered')) rates.computed += tally.rate(count, performance.now());
      if (count.startsWith('refused/')) rates.refused += tally.rate(count, performance.now());
    }
    return rates;
  }

  workerRefusals(name: string): ReadonlyMap<string, number> {
    const tally = this.#workers.get(name)?.tally;
    const names = [...(tally?.names() ?? [])].filter((n) => n.startsWith('refused/'));
    return new Map(names.map((n) => [n.slice('refused/'.length), tally!.total(n)]));
  }

  /** Answers a second of a model at a worker. */
  workerModelRate(name: string, modelId: number): number {
    const tally = this.#workers.get(name)?.tally;
    if (tally === undefined) return 0;
    return versionsIn(tally, modelId).reduce(
      (sum, version) => sum + tally.rate(`${modelId}/${version}/answered`, performance.now()),
      0,
    );
  }

  /** Versions of a model that somebody has measured. */
  versions(modelId: number): readonly number[] {
    const tallies = [this.#edges, ...[...this.#workers.values()].map((w) => w.tally)];
    return [...new Set(tallies.flatMap((t) => versionsIn(t, modelId)))].sort((a, b) => a - b);
  }

  /**
   * What was measured of a version.
   * @param span the window, or all that is known
   */
  measuredAt(by: Vantage, modelId: number, version: number, span: 'window' | 'total'): Measured {
    const name = `${modelId}/${version}`;
    const now = performance.now();
    const of = (tally: Tally) =>
      measuredBy(name, (count) => (span === 'window' ? tally.rise(count, now) : tally.total(count)));
    if (by === 'edge') return of(this.#edges);
    return together([...this.#workers.values()].map(({ tally }) => of(tally)));
  }
}

function versionsIn(tally: Tally, modelId: number): readonly number[] {
  const found = new Set<number>();
  for (const name of tally.names()) {
    const [id, version, what] = name.split('/');
    if ((what === 'answered' || what === 'failed') && Number(id) === modelId) found.add(Number(version));
  }
  return [...found];
}
