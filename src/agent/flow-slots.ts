import { FLOW_SLOTS } from '../backends/common/flow/tables.ts';
import type { FlowModelConfig } from '../backends/xdp/device-config.ts';
import { type BpfMap, type MappedWords, programsEnded } from '../bpf/index.ts';
import { invalid } from '../p4runtime/server/fault.ts';
import { holdsWeights, type SlotWeights } from './held-versions.ts';
import { widened } from './table-entry.ts';

/** The word of the map `flow_model` while no weights are ready: a slot that there is not. */
const NOT_READY = BigInt(FLOW_SLOTS);

interface Slot {
  /** The whole struct. */
  readonly bytes: Buffer;
  readonly layers: Set<number>;
  /** Whether a program that is running may still read the slot, though the word does not name it any more. */
  inFlight: boolean;
}

/**
 * The weights of a program of flows, and which slot of them classifies. No packet is classified by weights that are being
 * written: the word says so first, and programs that saw it before have ended.
 */
export class FlowSlots {
  readonly #config: Pick<FlowModelConfig, 'weights'>;
  readonly #first: number;
  readonly #word: MappedWords;
  readonly #weights: BpfMap | undefined;
  readonly #slots: readonly Slot[];
  #current = 0;

  /**
   * @param first of its slots on the device
   * @param weights undefined where they are constants of the program
   * @param running whether packets may have met the program already
   */
  constructor(
    config: Pick<FlowModelConfig, 'weights'>,
    first: number,
    word: MappedWords,
    weights: BpfMap | undefined,
    running: boolean,
  ) {
    this.#config = config;
    this.#first = first;
    this.#word = word;
    this.#weights = weights;
    this.#slots = Array.from({ length: FLOW_SLOTS }, () => ({
      bytes: Buffer.alloc(weights?.info.valueSize ?? 0),
      layers: new Set(),
      inFlight: running,
    }));
    if (!running) word.set(0, NOT_READY);
  }

  /** @throws Fault */
  setCurrent(slot: number): void {
    this.#current = this.#check(slot);
    this.#show();
  }

  /** Sets or removes a layer's weights. @throws Fault */
  async setWeights(weights: SlotWeights): Promise<void> {
    const number = this.#check(weights.slot);
    const slot = this.#slots[number]!;
    slot.layers.delete(weights.layer);
    this.#show();
    if (!holdsWeights(weights)) return;
    if (slot.inFlight) await programsEnded();
    slot.inFlight = false;
    this.#place(slot, weights);
    this.#weights?.update(number, slot.bytes);
    slot.layers.add(weights.layer);
    this.#show();
  }

  /** Brings a program that is running in line. @returns slots whose weights were not right */
  async takeOver(current: number, weights: readonly SlotWeights[]): Promise<readonly number[]> {
    for (const w of weights.filter(holdsWeights)) {
      const slot = this.#slots[this.#check(w.slot)]!;
      this.#place(slot, w);
      slot.layers.add(w.layer);
    }
    this.#current = this.#check(current);
    const mended: number[] = [];
    for (const [i, slot] of this.#slots.entries()) {
      if (this.#weights === undefined || slot.layers.size === 0) continue;
      if (this.#weights.lookup(i)?.equals(slot.bytes)) continue;
      if (this.#word.get(0) === BigInt(i)) this.#set(NOT_READY);
      if (slot.inFlight) await programsEnded();
      slot.inFlight = false;
      this.#weights.update(i, slot.bytes);
      mended.push(this.#first + i);
    }
    this.#show();
    return mended;
  }

  close(): void {
    this.#word.close();
  }

  #check(slot: number): number {
    // Constants of the program are in every slot.
    if (this.#weights === undefined) return 0;
    const own = slot - this.#first;
    if (own < 0 || own >= FLOW_SLOTS)
      throw invalid(
        `this model has the slots ${this.#first} and ${this.#first + 1} of the host, not ${slot}`,
      );
    return own;
  }

  #place(slot: Slot, { layer, entry }: SlotWeights): void {
    const placed = this.#config.weights.find((w) => w.layer === layer);
    if (placed === undefined) throw invalid(`layer ${layer} has no weights`);
    let at = placed.offset;
    for (const [i, { bytes }] of placed.arrays.entries()) {
      slot.bytes.set(widened(entry.parameterBytes(i), bytes), at);
      at += bytes;
    }
  }

  #show(): void {
    const isReady = this.#config.weights.every(({ layer }) => this.#slots[this.#current]!.layers.has(layer));
    this.#set(isReady ? BigInt(this.#current) : NOT_READY);
  }

  #set(word: bigint): void {
    const old = this.#word.get(0);
    if (old === word) return;
    this.#word.set(0, word);
    if (old < NOT_READY) this.#slots[Number(old)]!.inFlight = true;
  }
}
