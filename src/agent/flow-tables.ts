import { isDeepStrictEqual } from 'node:util';
import { type Entry, tableEntry } from '../backends/common/entries.ts';
import {
  classCounter,
  classes,
  decide,
  escalation,
  FLOW_CLASSES,
  FLOW_DIGEST_ID,
  flowCounter,
  flowModel,
  limitedCounter,
  MARK,
  treatWays,
} from '../backends/common/flow/tables.ts';
import { ports, weightsPlace } from '../backends/common/table-model.ts';
import type { FlowConfig } from '../backends/xdp/device-config.ts';
import { FLOW_SLOTS } from '../backends/xdp/p4info.ts';
import { FrameSender } from '../bpf/index.ts';
import {
  type ClassAction,
  type ClassRate,
  classCounts,
  classEntry,
  decodeClass,
  decodeRate,
  encodeClass,
  encodeRate,
  MOST_BURST,
  MOST_RATE,
  rateEntity,
  WANTED,
} from '../devices/flow-actions.ts';
import { setWanted, wantedOf } from '../devices/flow-asking.ts';
import { FlowSweeper, type Sweeping, sweepRegularly } from '../devices/flow-sweep.ts';
import { type Change, entityKey, type Init } from '../p4runtime/index.ts';
import { invalid } from '../p4runtime/server/fault.ts';
import { toBigInt } from '../p4runtime/values.ts';
import type { DataPlane } from './data-plane.ts';
import { FlowEscalation } from './flow-escalation.ts';
import { FlowSlots } from './flow-slots.ts';
import { ForwardingTables } from './forwarding-tables.ts';
import type { SlotWeights } from './held-versions.ts';
import type { PortState } from './interfaces.ts';
import { entitiesOf, portEntries, weightsEntry } from './kernel-state.ts';
import { cellsOf, NO_COUNT, type ProgramTables, type Tell } from './program-tables.ts';
import { type PlainEntry, plainEntry } from './table-entry.ts';
import { type CopySession, ToldFlows, verdictData } from './told-flows.ts';

type Entity = Init<'Entity'>;

/** What the tables need of their device. */
export interface FlowSurroundings {
  /** Runs a function where the interfaces are. */
  readonly inside: <T>(run: () => T) => T;
  readonly tell: Tell;
  readonly ports: () => readonly PortState[];
}

interface Session {
  readonly ports: readonly number[];
  readonly length: number;
}

/** The tables of a program that classifies flows: what is done with packets of each class, and the weights. */
export class FlowTables implements ProgramTables {
  readonly #program: DataPlane;
  readonly #config: FlowConfig;
  readonly #slots: FlowSlots;
  readonly #forwarding: ForwardingTables;
  readonly #around: FlowSurroundings;
  readonly #sessions = new Map<number, Session>();
  readonly #escalation: FlowEscalation;
  #told: ToldFlows | undefined;
  #sweeping: Sweeping | undefined;

  /** @param running whether packets may have met the program already */
  constructor(program: DataPlane, config: FlowConfig, running: boolean, around: FlowSurroundings) {
    const weights = config.weights.length > 0 ? program.map('weights') : undefined;
    this.#program = program;
    this.#config = config;
    this.#around = around;
    this.#slots = new FlowSlots(config, program.map('flow_model').words(), weights, running);
    this.#forwarding = new ForwardingTables(program, around.inside, []);
    this.#escalation = new FlowEscalation(program, (flow) => {
      if (this.#isTelling()) around.tell(FLOW_DIGEST_ID, verdictData(flow));
    });
  }

  async fill(state: readonly Change[], interfaces: readonly PortState[]): Promise<string> {
    const weights: SlotWeights[] = [];
    const actions = new Map<number, ClassAction>();
    const rates = new Map<number, ClassRate>();
    let current = 0;
    let asking: PlainEntry | undefined;
    for (const { entity } of state) {
      if (entity.meterEntry !== undefined)
        for (const [cell, rate] of ratesOf(entity.meterEntry)) setOrDelete(rates, cell, rate);
      const session = entity.packetReplicationEngineEntry?.cloneSessionEntry;
      if (session !== undefined) this.#setSession(session, true);
      if (entity.tableEntry === undefined) continue;
      const entry = plainEntry(entity.tableEntry);
      const place = weightsPlace(entry.tableId);
      if (place !== undefined) weights.push({ ...place, entry });
      else if (entry.tableId === flowModel.id) current = slotOf(entry);
      else if (entry.tableId === classes.id) actions.set(entry.key(0).value, actionOf(entry));
      else if (entry.tableId === escalation.id) asking = entry;
      else this.#forwarding.set(entry, true, false);
    }
    let elements = this.#forwarding.fill(interfaces) + this.#escalation.fill(asking);
    for (let cell = 0; cell < FLOW_CLASSES; cell++) {
      elements += this.#mend('classes', cell, actions.get(cell), decodeClass, encodeClass);
      elements += this.#mend('rates', cell, rates.get(cell), decodeRate, encodeRate);
    }
    const slots = await this.#slots.takeOver(current, weights);
    return [
      ...(elements > 0 ? [`${elements} elements of tables`] : []),
      ...slots.map((slot) => `the weights of slot ${slot}`),
    ].join(', ');
  }

  set({ type, entity }: Change): Promise<void> | void {
    const present = type !== 'DELETE';
    const session = entity.packetReplicationEngineEntry?.cloneSessionEntry;
    if (session !== undefined) return this.#setSession(session, present);
    if (entity.digestEntry !== undefined) return this.#setDigests(present);
    if (entity.counterEntry !== undefined) return this.#setCounter(entity.counterEntry);
    if (entity.meterEntry !== undefined) {
      for (const [cell, rate] of ratesOf(entity.meterEntry))
        this.#program.map('rates').update(cell, encodeRate(rate));
      return;
    }
    if (entity.tableEntry === undefined) throw invalid('a host that classifies flows has no such entity');
    const entry = plainEntry(entity.tableEntry);
    const place = weightsPlace(entry.tableId);
    if (place !== undefined) return this.#slots.setWeights({ ...place, entry });
    if (entry.tableId === flowModel.id) return this.#slots.setCurrent(slotOf(entry));
    if (entry.tableId === escalation.id) return this.#escalation.set(entry);
    if (entry.tableId === classes.id) {
      const action = present ? actionOf(entry) : undefined;
      this.#program.map('classes').update(entry.key(0).value, encodeClass(action));
      return;
    }
    if (entry.tableId === ports.id) return this.#forwarding.set(entry, present, true);
    throw invalid(`an XDP host of flows has no table ${entry.tableId}`);
  }

  setInterfaces(interfaces: readonly PortState[]): void {
    this.#forwarding.setInterfaces(interfaces);
  }

  readCounter(counterId: number, index: number): Init<'CounterData'> {
    if (counterId === flowCounter.id)
      return { ...NO_COUNT, packetCount: this.#program.map('flow_counts').sumPerCpu(0)?.[index] ?? 0n };
    const counts = classCounts(this.#program.map('class_counts').sumPerCpu(index) ?? []);
    if (counterId === classCounter.id) return { packetCount: counts.packets, byteCount: counts.bytes };
    if (counterId === limitedCounter.id)
      return { packetCount: counts.limitedPackets, byteCount: counts.limitedBytes };
    return NO_COUNT;
  }

  listen(digests: boolean): void {
    this.#told?.close();
    this.#told = new ToldFlows(
      this.#program.map('told'),
      this.#around.inside(() => new FrameSender()),
      this.#around.tell,
      (number) => this.#copySession(number),
      (question) => this.#escalation.question(question),
    );
    this.#setDigests(digests);
    this.#escalation.listen();
    this.#beginSweeps();
  }

  state(interfaces: readonly PortState[], known: readonly Change[]): Change[] {
    const before = entitiesOf(known);
    const word = this.#program.map('flow_model').words();
    const slot = Number(word.get(0));
    word.close();
    const isReady = slot < FLOW_SLOTS;
    const found: Entity[] = [
      ...(isReady ? [{ table: flowModel, keys: [], action: decide, parameters: [slot] }] : []),
      ...(isReady ? this.#weightsOf(slot) : []),
      ...this.#classEntries(),
      ...portEntries(this.#program, interfaces),
    ].map((entry) => ({ tableEntry: tableEntry(entry) }));
    found.push(...this.#meterEntries());
    // What copies go to, and who is asked, is in no map: it is as good as what is left of the writes.
    for (const entity of before.values())
      if (entity.packetReplicationEngineEntry || entity.tableEntry?.tableId === escalation.id)
        found.push(entity);
    if (this.#isTelling()) {
      const entity: Entity = {
        digestEntry: {
          digestId: FLOW_DIGEST_ID,
          config: { maxTimeoutNs: 0n, maxListSize: 0, ackTimeoutNs: 0n },
        },
      };
      found.push(before.get(entityKey(entity)) ?? entity);
    }
    return found.map((entity) => {
      const { tableEntry: t, meterEntry } = entity;
      return { type: t?.isDefaultAction || meterEntry ? 'MODIFY' : 'INSERT', entity };
    });
  }

  close(): void {
    this.#told?.close();
    this.#told = undefined;
    this.#escalation.close();
    this.#sweeping?.stop();
    this.#slots.close();
  }

  /** Flows that are classified at their ends may be over without a packet that shows it. */
  #beginSweeps(): void {
    this.#sweeping?.stop();
    const { sweep } = this.#program;
    if (sweep === undefined) return;
    const sweeper = new FlowSweeper(sweep, this.#program.map('flow_range'));
    const buckets = this.#program.map('flows').info.maxEntries;
    this.#sweeping = sweepRegularly((isOver) => sweeper.sweep(buckets, false, isOver));
  }

  /** Rewrites an element that says something else. @returns 1 where it did */
  #mend<T>(
    name: 'classes' | 'rates',
    cell: number,
    wanted: T | undefined,
    decode: (bytes: Buffer) => T | undefined,
    encode: (value: T | undefined) => Buffer,
  ): number {
    const map = this.#program.map(name);
    if (isDeepStrictEqual(decode(map.lookup(cell)!), wanted)) return 0;
    map.update(cell, encode(wanted));
    return 1;
  }

  #setSession(session: Init<'CloneSessionEntry'>, present: boolean): void {
    const number = session.sessionId ?? 0;
    if (!present) {
      this.#sessions.delete(number);
      return;
    }
    const replicas = (session.replicas ?? []).map((replica) => {
      const bytes = replica.port ?? new Uint8Array(0);
      return bytes.length > 0 ? Number(toBigInt(bytes)) : (replica.egressPort ?? 0);
    });
    this.#sessions.set(number, { ports: replicas, length: session.packetLengthBytes ?? 0 });
  }

  #copySession(number: number): CopySession | undefined {
    const session = this.#sessions.get(number);
    if (session === undefined) return undefined;
    const all = this.#around.ports();
    const ifindexes = session.ports.flatMap((port) => {
      const ifindex = all.find((p) => p.port === port)?.ifindex ?? 0;
      return ifindex === 0 ? [] : [ifindex];
    });
    return { ifindexes, length: session.length };
  }

  #isTelling(): boolean {
    return (wantedOf(this.#program.map('telling')) & WANTED.verdicts) !== 0n;
  }

  #setDigests(on: boolean): void {
    setWanted(this.#program.map('telling'), on ? WANTED.verdicts : 0n);
  }

  /** One CPU is given the whole count. */
  #setCounter(entry: Init<'CounterEntry'>): void {
    if (entry.data === undefined) return;
    const [packets, bytes] = [entry.data.packetCount ?? 0n, entry.data.byteCount ?? 0n].map((n) =>
      BigInt.asUintN(64, BigInt(n)),
    ) as [bigint, bigint];
    const isOutcomes = entry.counterId === flowCounter.id;
    const map = this.#program.map(isOutcomes ? 'flow_counts' : 'class_counts');
    const size = isOutcomes ? flowCounter.size : FLOW_CLASSES;
    for (const cell of cellsOf(entry, size)) {
      const [key, at] = isOutcomes ? [0, 8 * cell] : [cell, entry.counterId === classCounter.id ? 0 : 16];
      const all = map.lookup(key)!;
      const stride = all.length / map.lookupPerCpu(key)!.length;
      for (let cpu = 0; cpu * stride < all.length; cpu++) {
        all.writeBigUInt64LE(cpu === 0 ? packets : 0n, cpu * stride + at);
        if (!isOutcomes) all.writeBigUInt64LE(cpu === 0 ? bytes : 0n, cpu * stride + at + 8);
      }
      map.update(key, all);
    }
  }

  #weightsOf(slot: number): Entry[] {
    if (this.#config.weights.length === 0) return [];
    const bytes = this.#program.map('weights').lookup(slot) ?? Buffer.alloc(0);
    return this.#config.weights.map((placed) => weightsEntry(placed, slot, bytes));
  }

  #classEntries(): Entry[] {
    const map = this.#program.map('classes');
    return Array.from({ length: FLOW_CLASSES }, (_, i) => i).flatMap((cell) => {
      const action = decodeClass(map.lookup(cell)!);
      return action === undefined ? [] : [classEntry(cell, action)];
    });
  }

  #meterEntries(): Entity[] {
    const map = this.#program.map('rates');
    return Array.from({ length: FLOW_CLASSES }, (_, i) => i).flatMap((cell) => {
      const rate = decodeRate(map.lookup(cell)!);
      if (rate === undefined) return [];
      return [rateEntity(cell, rate)];
    });
  }
}

/** Names of the ways in actions of classes, by their numbers in `treat`. */
const WAYS = { [treatWays.port]: 'none', [treatWays.redirect]: 'cross', [treatWays.drop]: 'drop' } as const;

const isWay = (number: number): number is keyof typeof WAYS => number in WAYS;

/** @throws Fault */
function actionOf(entry: PlainEntry): ClassAction {
  const [way, port, mark, session, tell] = [0, 1, 2, 3, 4].map((i) => entry.parameter(i)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (!isWay(way)) throw invalid(`way ${way} is none of 0 (as the port says), 1 (redirect), 2 (drop)`);
  const dscp = mark - MARK;
  if (mark !== 0 && (dscp < 0 || dscp > 0x3f))
    throw invalid(`mark ${mark} is neither 0 nor 128 and a DSCP of 0 to 63`);
  return { way: WAYS[way], port, dscp: mark === 0 ? undefined : dscp, session, tell: tell !== 0 };
}

const slotOf = (entry: PlainEntry): number => (entry.actionId === decide.id ? entry.parameter(0) : 0);

/** Cells of the meter and their rates: red is what is beyond the peak. @throws Fault */
function ratesOf(entry: Init<'MeterEntry'>): [number, ClassRate | undefined][] {
  const cells = cellsOf(entry, FLOW_CLASSES);
  const { config } = entry;
  if (config === undefined) return cells.map((cell) => [cell, undefined]);
  const [bytesPerSecond, burstBytes] = [BigInt(config.pir ?? 0), BigInt(config.pburst ?? 0)];
  if (bytesPerSecond < 0n || bytesPerSecond > MOST_RATE)
    throw invalid(`a rate of ${bytesPerSecond} bytes/s is beyond ${MOST_RATE}`);
  if (burstBytes < 0n || burstBytes > MOST_BURST)
    throw invalid(`a burst of ${burstBytes} bytes is beyond ${MOST_BURST}`);
  return cells.map((cell) => [cell, { bytesPerSecond, burstBytes }]);
}

function setOrDelete<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
