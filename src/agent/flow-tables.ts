import { isDeepStrictEqual } from 'node:util';
import { type Entry, tableEntry } from '../backends/common/entries.ts';
import {
  classCounter,
  classes,
  escalation,
  FLOW_CLASSES,
  FLOW_DIGEST_ID,
  FLOW_SLOTS,
  flowCounter,
  flowCounterOf,
  flowModelOf,
  limitedCounter,
  MARK,
  MOST_FLOW_MODELS,
  treatWays,
} from '../backends/common/flow/tables.ts';
import { ports, weightsPlace } from '../backends/common/table-model.ts';
import { type FlowConfig, mostFeaturesOf, type PlacedWeights } from '../backends/xdp/device-config.ts';
import { FrameSender } from '../bpf/index.ts';
import { firstSlotOf, programOf } from '../dataplane/abi.ts';
import { type Change, entityKey, type Init, insertion } from '../p4runtime/index.ts';
import { invalid } from '../p4runtime/server/fault.ts';
import { toBigInt } from '../p4runtime/values.ts';
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
} from '../runtime/xdp/flow-actions.ts';
import { setWanted, wantedOf } from '../runtime/xdp/flow-asking.ts';
import { FlowSweeper, type Sweeping, sweepRegularly } from '../runtime/xdp/flow-sweep.ts';
import { type DataPlane, type FlowProgram, joinFlows } from './data-plane.ts';
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

/** A model with what is its own. */
interface OwnModel {
  readonly own: FlowProgram;
  readonly weights: readonly PlacedWeights[];
  /** Of its slots on the device. */
  readonly first: number;
  readonly slots: FlowSlots;
}

interface Session {
  readonly ports: readonly number[];
  readonly length: number;
}

/** The tables of a program that classifies flows: what is done with packets of each class, and the weights. */
export class FlowTables implements ProgramTables {
  readonly #program: DataPlane;
  readonly #config: FlowConfig;
  readonly #models: readonly OwnModel[];
  readonly #forwarding: ForwardingTables;
  readonly #around: FlowSurroundings;
  readonly #sessions = new Map<number, Session>();
  readonly #escalation: FlowEscalation;
  #told: ToldFlows | undefined;
  #sweeping: readonly Sweeping[] = [];

  /** @param running whether packets may have met the program already */
  constructor(program: DataPlane, config: FlowConfig, running: boolean, around: FlowSurroundings) {
    this.#program = program;
    this.#config = config;
    this.#around = around;
    this.#models = config.models.map(({ weights }, m) => {
      const own = program.flow(m);
      const first = firstSlotOf(m);
      const map = weights.length > 0 ? own.map('weights') : undefined;
      return {
        ...{ own, weights, first },
        slots: new FlowSlots({ weights }, first, own.map('flow_model').words(), map, running),
      };
    });
    this.#forwarding = new ForwardingTables(program, around.inside, []);
    this.#escalation = new FlowEscalation(program, (flow) => {
      if (this.#isTelling()) around.tell(FLOW_DIGEST_ID, verdictData(flow, mostFeaturesOf(config)));
    });
  }

  async fill(state: readonly Change[], interfaces: readonly PortState[]): Promise<string> {
    const weights: SlotWeights[] = [];
    const actions = new Map<number, ClassAction>();
    const rates = new Map<number, ClassRate>();
    const current = new Map<number, number>();
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
      else if (modelOfTable(entry.tableId) !== undefined)
        current.set(modelOfTable(entry.tableId)!, slotOf(entry));
      else if (entry.tableId === classes.id) actions.set(entry.key(0).value, actionOf(entry));
      else if (entry.tableId === escalation.id) asking = entry;
      else this.#forwarding.set(entry, true, false);
    }
    let elements = this.#forwarding.fill(interfaces) + joinFlows(this.#program, this.#config);
    if (!this.#config.isSet) elements += this.#escalation.fill(asking);
    for (let cell = 0; cell < FLOW_CLASSES; cell++) {
      elements += this.#mend('classes', cell, actions.get(cell), decodeClass, encodeClass);
      elements += this.#mend('rates', cell, rates.get(cell), decodeRate, encodeRate);
    }
    const slots: number[] = [];
    for (const [m, model] of this.#models.entries()) {
      const own = weights.filter(({ slot }) => programOf(slot) === m);
      slots.push(...(await model.slots.takeOver(current.get(m) ?? model.first, own)));
    }
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
    if (place !== undefined) return this.#model(programOf(place.slot)).slots.setWeights({ ...place, entry });
    const model = modelOfTable(entry.tableId);
    if (model !== undefined) return this.#model(model).slots.setCurrent(slotOf(entry));
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
    const model = modelOfCounter(counterId);
    if (model !== undefined)
      return {
        ...NO_COUNT,
        packetCount: this.#model(model).own.map('flow_counts').sumPerCpu(0)?.[index] ?? 0n,
      };
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
      mostFeaturesOf(this.#config),
      (number) => this.#copySession(number),
      (question) => this.#escalation.question(question),
    );
    this.#setDigests(digests);
    if (!this.#config.isSet) this.#escalation.listen();
    this.#beginSweeps();
  }

  state(interfaces: readonly PortState[], known: readonly Change[]): Change[] {
    const before = entitiesOf(known);
    const found: Entity[] = [
      ...this.#models.flatMap((model, m) => this.#slotEntries(model, m)),
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
    return found.map(insertion);
  }

  close(): void {
    this.#told?.close();
    this.#told = undefined;
    this.#escalation.close();
    for (const sweeping of this.#sweeping) sweeping.stop();
    for (const { slots } of this.#models) slots.close();
  }

  /** Flows that are classified at their ends may be over without a packet that shows it. */
  #beginSweeps(): void {
    for (const sweeping of this.#sweeping) sweeping.stop();
    this.#sweeping = this.#models.flatMap(({ own }) => {
      if (own.sweep === undefined) return [];
      const sweeper = new FlowSweeper(own.sweep, own.map('flow_range'));
      const buckets = own.map('flows').info.maxEntries;
      return [sweepRegularly((isOver) => sweeper.sweep(buckets, false, isOver))];
    });
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
    const model = modelOfCounter(entry.counterId ?? 0);
    const isOutcomes = model !== undefined;
    const map = isOutcomes ? this.#model(model).own.map('flow_counts') : this.#program.map('class_counts');
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

  /** @throws Fault */
  #model(number: number): OwnModel {
    const model = this.#models[number];
    if (model === undefined) throw invalid(`this host has no model ${number}`);
    return model;
  }

  /** Which slot classifies, and its weights, if they are ready. */
  #slotEntries({ own, weights, first }: OwnModel, model: number): Entry[] {
    const word = own.map('flow_model').words();
    const slot = Number(word.get(0));
    word.close();
    if (slot >= FLOW_SLOTS) return [];
    const table = flowModelOf(model);
    const current = { table, keys: [], action: table.defaultAction, parameters: [first + slot] };
    if (weights.length === 0) return [current];
    const bytes = own.map('weights').lookup(slot) ?? Buffer.alloc(0);
    return [current, ...weights.map((placed) => weightsEntry(placed, first + slot, bytes))];
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

/** Which slot an entry names; without an action it is the model's first. */
function slotOf(entry: PlainEntry): number {
  const model = modelOfTable(entry.tableId) ?? 0;
  const { id } = flowModelOf(model).defaultAction;
  return entry.actionId === id ? entry.parameter(0) : firstSlotOf(model);
}

/** By ids of the tables that say which slot classifies; and of counters of outcomes: whose they are. */
const numbers = Array.from({ length: MOST_FLOW_MODELS }, (_, model) => model);
const tables = new Map(numbers.map((model) => [flowModelOf(model).id, model]));
const counters = new Map(numbers.map((model) => [flowCounterOf(model).id, model]));
const modelOfTable = (id: number): number | undefined => tables.get(id);
const modelOfCounter = (id: number): number | undefined => counters.get(id);

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
