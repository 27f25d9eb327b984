import { models, refusedRequests, verdictCounter, weightsPlace } from '../backends/common/table-model.ts';
import type { RequestConfig } from '../backends/xdp/device-config.ts';
import type { Change, Init } from '../p4runtime/index.ts';
import { invalid } from '../p4runtime/server/fault.ts';
import { ForwardingTables } from './forwarding-tables.ts';
import { HeldVersions, type SlotWeights } from './held-versions.ts';
import type { PortState } from './interfaces.ts';
import { kernelState } from './kernel-state.ts';
import type { LoadedProgram } from './loaded-program.ts';
import { cellsOf, NO_COUNT, type ProgramTables, type Tell } from './program-tables.ts';
import { RefusedRequests } from './refused-requests.ts';
import { type PlainEntry, plainEntry } from './table-entry.ts';

/** The tables of a program that computes requests. */
export class RequestTables implements ProgramTables {
  readonly #program: LoadedProgram;
  readonly #config: RequestConfig;
  readonly #versions: HeldVersions;
  readonly #tables: ForwardingTables;
  readonly #tell: Tell;
  #digests: RefusedRequests | undefined;

  /** @param running whether packets may have met the program already */
  constructor(
    program: LoadedProgram,
    config: RequestConfig,
    running: boolean,
    inside: <T>(run: () => T) => T,
    tell: Tell,
  ) {
    const weights = config.weights.length > 0 ? program.map('weights') : undefined;
    this.#program = program;
    this.#config = config;
    this.#versions = new HeldVersions(config, program.map('models').words(), weights, running);
    this.#tables = new ForwardingTables(program, inside);
    this.#tell = tell;
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
    const elements = this.#tables.fill(interfaces);
    const slots = await this.#versions.takeOver(versions, weights);
    return [
      ...(elements > 0 ? [`${elements} elements of tables`] : []),
      ...slots.map((slot) => `the weights of slot ${slot}`),
    ].join(', ');
  }

  set({ type, entity }: Change): Promise<void> | void {
    const present = type !== 'DELETE';
    if (entity.digestEntry !== undefined) return this.#setDigests(present, true);
    if (entity.counterEntry !== undefined) return this.#setCounter(entity.counterEntry);
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
    if (counterId !== verdictCounter.id) return NO_COUNT;
    const sums = this.#program.map('verdicts').sumPerCpu(index);
    return { ...NO_COUNT, packetCount: sums?.[0] ?? 0n };
  }

  listen(digests: boolean): void {
    this.#setDigests(digests, true);
  }

  state(interfaces: readonly PortState[], known: readonly Change[]): Change[] {
    return kernelState(this.#program, this.#config, interfaces, known);
  }

  close(): void {
    this.#setDigests(false, false);
    this.#versions.close();
  }

  /** One CPU is given the whole count. */
  #setCounter(entry: Init<'CounterEntry'>): void {
    if (entry.data === undefined) return;
    const map = this.#program.map('verdicts');
    for (const cell of cellsOf(entry, verdictCounter.size)) {
      const all = Buffer.alloc(map.lookup(cell)!.length);
      all.writeBigUInt64LE(BigInt.asUintN(64, BigInt(entry.data.packetCount ?? 0)));
      map.update(cell, all);
    }
  }

  /** @param tell whether the program is told too */
  #setDigests(on: boolean, tell: boolean): void {
    this.#digests?.close();
    this.#digests = undefined;
    if (tell) this.#program.map('telling').update(0, on ? 1 : 0);
    if (on)
      this.#digests = new RefusedRequests(this.#program.map('refused'), (data) =>
        this.#tell(refusedRequests.id, data),
      );
  }
}
