import { noWeights } from '../backends/common/table-model.ts';
import type { RequestConfig } from '../backends/xdp/device-config.ts';
import { XDP_SLOTS } from '../backends/xdp/p4info.ts';
import { type BpfMap, type MappedWords, programsEnded } from '../bpf/index.ts';
import { CURRENT, decodeWord, encodeWord, NAMED, NO_WORD, WORDS } from '../devices/versions.ts';
import { exhausted, invalid } from '../p4runtime/server/fault.ts';
import { type PlainEntry, widened } from './table-entry.ts';

/** An entry of `models`: its key, and the parameters of `hold`. */
interface Held {
  readonly modelId: number;
  /** 0 is the current one. */
  readonly keyVersion: number;
  readonly modelVersion: number;
  readonly slot: number;
  readonly threshold: number;
  /** Whether it was made for this program's layers. */
  readonly ours: boolean;
}

/** The weights of a layer in a slot: the default action of their table, or none. */
export interface SlotWeights {
  readonly layer: number;
  readonly slot: number;
  readonly entry: PlainEntry;
}

/** Whether it holds weights: a table that was reset has the action of its program. */
export const holdsWeights = ({ entry }: SlotWeights): boolean =>
  entry.actionId !== 0 && entry.actionId !== noWeights.id;

interface SlotState {
  /** The whole struct. */
  readonly bytes: Buffer;
  readonly layers: Set<number>;
  /** Whether a program that is running may still read the slot, though no word names it any more. */
  inFlight: boolean;
}

/**
 * Versions and weights of one program. No packet is computed by weights that are being written: words that name their slot
 * say so first, and programs that saw a word from before have ended.
 */
export class HeldVersions {
  readonly #config: RequestConfig;
  readonly #words: MappedWords;
  readonly #weights: BpfMap | undefined;
  readonly #slots: readonly SlotState[];
  readonly #held: (Held | undefined)[] = Array(WORDS).fill(undefined);

  /**
   * @param weights undefined where they are constants of the program
   * @param running whether packets may have met the program already
   */
  constructor(config: RequestConfig, words: MappedWords, weights: BpfMap | undefined, running: boolean) {
    this.#config = config;
    this.#words = words;
    this.#weights = weights;
    this.#slots = Array.from({ length: XDP_SLOTS }, () => ({
      bytes: Buffer.alloc(weights?.info.valueSize ?? 0),
      layers: new Set(),
      inFlight: running,
    }));
  }

  /** Sets or removes an entry of `models`. @throws Fault */
  setVersion(entry: PlainEntry, present: boolean): void {
    const held = this.#read(entry);
    const at = this.#place(held);
    this.#held[at] = present ? held : undefined;
    this.#show(at);
  }

  /** Sets or removes a layer's weights. @throws Fault */
  async setWeights(weights: SlotWeights): Promise<void> {
    const { layer, slot } = weights;
    const state = this.#slots[checkSlot(slot)]!;
    // From here on packets of this slot pass on.
    state.layers.delete(layer);
    this.#showAll();
    if (!holdsWeights(weights)) return;
    if (state.inFlight) await programsEnded();
    state.inFlight = false;
    this.#placeWeights(state, weights);
    this.#weights?.update(slot, state.bytes);
    state.layers.add(layer);
    this.#showAll();
  }

  /**
   * Brings a program that is running in line with entries. What is right is not touched: its packets are computed all the
   * time.
   * @returns slots whose weights were not right
   */
  async takeOver(
    versions: readonly PlainEntry[],
    weights: readonly SlotWeights[],
  ): Promise<readonly number[]> {
    const mended: number[] = [];
    for (const w of weights.filter(holdsWeights)) {
      const state = this.#slots[checkSlot(w.slot)]!;
      this.#placeWeights(state, w);
      state.layers.add(w.layer);
    }
    // An entry keeps its word.
    const present = Array.from({ length: WORDS }, (_, i) => decodeWord(this.#words.get(i)));
    const rest: Held[] = [];
    for (const held of versions.map((entry) => this.#read(entry))) {
      const at =
        held.keyVersion === 0
          ? CURRENT
          : NAMED.find(
              (i) => present[i]?.modelId === held.modelId && present[i]?.modelVersion === held.modelVersion,
            );
      if (at === undefined || this.#held[at] !== undefined) rest.push(held);
      else this.#held[at] = held;
    }
    for (const held of rest) this.#held[this.#place(held)] = held;

    for (const [slot, state] of this.#slots.entries()) {
      const complete = this.#complete(slot);
      if (this.#weights === undefined || this.#weights.lookup(slot)?.equals(state.bytes)) continue;
      for (const [i, word] of present.entries())
        if (word?.slot === slot && word.state === 'ready') {
          this.#words.set(i, encodeWord({ ...word, state: 'noWeights' }));
          state.inFlight = true;
        }
      if (!complete && state.layers.size === 0) continue;
      if (state.inFlight) await programsEnded();
      state.inFlight = false;
      this.#weights.update(slot, state.bytes);
      mended.push(slot);
    }
    this.#showAll();
    return mended;
  }

  close(): void {
    this.#words.close();
  }

  /** @throws Fault INVALID_ARGUMENT */
  #read(entry: PlainEntry): Held {
    const keyVersion = entry.key(1).value;
    const [slot, modelVersion, first, next, count, threshold] = [0, 1, 2, 3, 4, 5].map(entry.parameter);
    if (keyVersion !== 0 && modelVersion !== keyVersion)
      throw invalid(`version ${keyVersion} answers as itself here, not as ${modelVersion}`);
    const { layers, model } = this.#config.manifest;
    return {
      modelId: entry.key(0).value,
      keyVersion,
      modelVersion: modelVersion!,
      slot: this.#weights === undefined ? 0 : checkSlot(slot!),
      threshold: threshold!,
      ours: first === layers.from && next === layers.to && count === model.layerCount,
    };
  }

  /** The word of an entry, or a free one. @throws Fault RESOURCE_EXHAUSTED */
  #place({ modelId, keyVersion }: Held): number {
    if (keyVersion === 0) {
      const other = this.#held[CURRENT];
      if (other === undefined || other.modelId === modelId) return CURRENT;
      throw exhausted(`an XDP host has one current version, that of model ${other.modelId}`);
    }
    const same = (h: Held | undefined) => h?.modelId === modelId && h.keyVersion === keyVersion;
    const at = NAMED.find((i) => same(this.#held[i])) ?? NAMED.find((i) => this.#held[i] === undefined);
    if (at === undefined) throw exhausted('an XDP host holds two versions by number: delete one first');
    return at;
  }

  #placeWeights(state: SlotState, { layer, entry }: SlotWeights): void {
    const placed = this.#config.weights.find((w) => w.layer === layer);
    if (placed === undefined) throw invalid(`layer ${layer} has no weights`);
    let at = placed.offset;
    for (const [i, { bytes }] of placed.arrays.entries()) {
      state.bytes.set(widened(entry.parameterBytes(i), bytes), at);
      at += bytes;
    }
  }

  #complete(slot: number): boolean {
    return this.#config.weights.every(({ layer }) => this.#slots[slot]!.layers.has(layer));
  }

  #showAll(): void {
    for (let i = 0; i < WORDS; i++) this.#show(i);
  }

  /** Writes a word, if it is another than the one that is there. */
  #show(at: number): void {
    const held = this.#held[at];
    const state =
      held === undefined
        ? undefined
        : !held.ours
          ? 'otherLayers'
          : this.#complete(held.slot)
            ? 'ready'
            : 'noWeights';
    const word = held === undefined || state === undefined ? NO_WORD : encodeWord({ ...held, state });
    const old = this.#words.get(at);
    if (word === old) return;
    this.#words.set(at, word);
    const before = decodeWord(old);
    const after = decodeWord(word);
    if (before?.state === 'ready' && (after?.slot !== before.slot || after.state !== 'ready'))
      this.#slots[before.slot]!.inFlight = true;
  }
}

function checkSlot(slot: number): number {
  if (slot >= XDP_SLOTS) throw invalid(`an XDP host has the slots 0 and 1, not ${slot}`);
  return slot;
}
