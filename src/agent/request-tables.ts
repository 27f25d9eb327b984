import { isDeepStrictEqual } from 'node:util';
import {
  models,
  outcomeCounter,
  refusedRequests,
  slotCounter,
  slotMeter,
  weightsPlace,
} from '../backends/common/table-model.ts';
import type { RequestConfig } from '../backends/xdp/device-config.ts';
import { slotOutcomes } from '../dataplane/abi.ts';
import type { Change, Init } from '../p4runtime/index.ts';
import { invalid } from '../p4runtime/server/fault.ts';
import { type DataPlane, showPrograms } from './data-plane.ts';
import { ForwardingTables } from './forwarding-tables.ts';
import { HeldVersions, type SlotWeights } from './held-versions.ts';
import type { PortState } from './interfaces.ts';
import { kernelState } from './kernel-state.ts';
import { cellsOf, NO_COUNT, type ProgramTables, type Tell } from './program-tables.ts';
import { RefusedRequests } from './refused-requests.ts';
import { budgetsAfter, budgetsOf, readBudget, type SlotBudget, writeBudget } from './slot-budgets.ts';
import { type PlainEntry, plainEntry } from './table-entry.ts';

/** What a data plane of requests begins from. */
export interface RequestSurroundings {
  /** The data plane on whose maps this one is to go on; itself where it was found running. */
  readonly before: DataPlane | undefined;
  /** Runs a function where the interfaces are. */
  readonly inside: <T>(run: () => T) => T;
  readonly tell: Tell;
}

/** The tables of programs that compute requests. */
export class RequestTables implements ProgramTables {
  readonly #plane: DataPlane;
  readonly #config: RequestConfig;
  readonly #versions: HeldVersions;
  readonly #tables: ForwardingTables;
  readonly #around: RequestSurroundings;
  #digests: RefusedRequests | undefined;

  constructor(plane: DataPlane, config: RequestConfig, around: RequestSurroundings) {
    this.#plane = plane;
    this.#config = config;
    this.#around = around;
    const words = plane.map('models').words();
    const running = around.before !== undefined;
    this.#versions = new HeldVersions({ config, words, weights: plane.weights, running });
    this.#tables = new ForwardingTables(plane, around.inside);
  }

  async fill(state: readonly Change[], interfaces: readonly PortState[]): Promise<string> {
    const versions: PlainEntry[] = [];
    const weights: SlotWeights[] = [];
    for (const { entity } of state) {
      if (entity.tableEntry === undefined) continue;
      const entry = plainEntry(entity.tableEntry);
      const place = weightsPlace(entry.tableId);
      if (place !== undefined) weights.push({ ...place, entry });
      else if (entry.tableId === models.id) versions.push(entry);
      else this.#tables.set(entry, true, false);
    }
    for (const { index } of this.#config.programs) {
      const old = this.#around.before?.weights(index)?.id;
      if (old !== undefined && old !== this.#plane.weights(index)?.id) this.#versions.retire(index);
    }
    const shown = showPrograms(this.#plane, this.#config);
    const elements = this.#tables.fill(interfaces) + this.#fillBudgets(budgetsAfter(state));
    const slots = await this.#versions.takeOver(versions, weights);
    return [
      ...(shown > 0 ? [`${shown} places of programs`] : []),
      ...(elements > 0 ? [`${elements} elements of tables`] : []),
      ...slots.map((slot) => `the weights of slot ${slot}`),
    ].join(', ');
  }

  async realign(interfaces: readonly PortState[]): Promise<void> {
    showPrograms(this.#plane, this.#config);
    this.#tables.fill(interfaces);
    await this.#versions.realign();
  }

  set({ type, entity }: Change): Promise<void> | void {
    const present = type !== 'DELETE';
    if (entity.digestEntry !== undefined) return this.#setDigests(present, true);
    if (entity.counterEntry !== undefined) return this.#setCounter(entity.counterEntry);
    if (entity.meterEntry !== undefined) {
      for (const [slot, own] of budgetsOf(entity.meterEntry)) this.#setBudget(slot, own);
      return;
    }
    if (entity.tableEntry === undefined) throw invalid('a host that computes requests has no such entity');
    const entry = plainEntry(entity.tableEntry);
    const place = weightsPlace(entry.tableId);
    if (place !== undefined) return this.#versions.setWeights({ ...place, entry });
    if (entry.tableId === models.id) return this.#versions.setVersion(entry, present);
    if (ForwardingTables.has(entry.tableId)) return this.#tables.set(entry, present, true);
    throw invalid(`an XDP host has no table ${entry.tableId}`);
  }

  setInterfaces(interfaces: readonly PortState[]): void {
    this.#tables.setInterfaces(interfaces);
  }

  readCounter(counterId: number, index: number): Init<'CounterData'> {
    if (counterId === slotCounter.id) {
      const counts = this.#plane.map('inferences').sumPerCpu(Math.floor(index / slotOutcomes.length));
      return { ...NO_COUNT, packetCount: counts?.[index % slotOutcomes.length] ?? 0n };
    }
    if (counterId !== outcomeCounter.id) return NO_COUNT;
    const sums = this.#plane.map('outcomes').sumPerCpu(index);
    return { ...NO_COUNT, packetCount: sums?.[0] ?? 0n };
  }

  listen(digests: boolean): void {
    this.#setDigests(digests, true);
  }

  state(interfaces: readonly PortState[], known: readonly Change[]): Change[] {
    return kernelState(this.#plane, this.#config, interfaces, known);
  }

  close(): void {
    this.#setDigests(false, false);
    this.#versions.close();
  }

  /** Where it ends packets ask for it no more before it is gone. */
  #setBudget(slot: number, own: SlotBudget | undefined): void {
    if (own === undefined) this.#versions.setLimited(slot, false);
    writeBudget(this.#plane.map('budgets'), slot, own);
    if (own !== undefined) this.#versions.setLimited(slot, true);
  }

  /** @returns how many were not right */
  #fillBudgets(wanted: ReadonlyMap<number, SlotBudget>): number {
    const map = this.#plane.map('budgets');
    let mended = 0;
    for (let slot = 0; slot < slotMeter.size; slot++) {
      const own = wanted.get(slot);
      if (own !== undefined) this.#versions.setLimited(slot, true);
      if (isDeepStrictEqual(readBudget(map, slot), own)) continue;
      writeBudget(map, slot, own);
      mended++;
    }
    return mended;
  }

  /** One CPU is given the whole count. */
  #setCounter(entry: Init<'CounterEntry'>): void {
    if (entry.data === undefined) return;
    const isSlots = entry.counterId === slotCounter.id;
    const map = this.#plane.map(isSlots ? 'inferences' : 'outcomes');
    const width = isSlots ? slotOutcomes.length : 1;
    for (const cell of cellsOf(entry, (isSlots ? slotCounter : outcomeCounter).size)) {
      const key = Math.floor(cell / width);
      const all = map.lookup(key)!;
      const word = 8 * (cell % width);
      // Of all CPUs, a value of the map each.
      for (let at = word; at < all.length; at += 8 * width) all.writeBigUInt64LE(0n, at);
      all.writeBigUInt64LE(BigInt.asUintN(64, BigInt(entry.data.packetCount ?? 0)), word);
      map.update(key, all);
    }
  }

  /** @param tell whether the program is told too */
  #setDigests(on: boolean, tell: boolean): void {
    this.#digests?.close();
    this.#digests = undefined;
    if (tell) this.#plane.map('tell_refusals').update(0, on ? 1 : 0);
    if (on)
      this.#digests = new RefusedRequests(this.#plane.map('refused'), (data) =>
        this.#around.tell(refusedRequests.id, data),
      );
  }
}
