import { noWeights } from '../backends/common/table-model.ts';
import type { ProgramConfig, RequestConfig } from '../backends/xdp/device-config.ts';
import { type BpfMap, type MappedWords, programsEnded } from '../bpf/index.ts';
import { firstSlotOf, MODEL_ENTRIES, programOf, type WordState } from '../dataplane/abi.ts';
import { askedFor, decodeWord, encodeWord, NO_WORD, placesOf, WORDS } from '../dataplane/words.ts';
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
  /** Whether it was made for the layers of the program that its slot belongs to. */
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
  readonly program: ProgramConfig;
  /** Undefined where the weights are constants of the program. */
  readonly weights: BpfMap | undefined;
  /** Among those of its program. */
  readonly at: number;
  /** The whole struct. */
  readonly bytes: Buffer;
  readonly layers: Set<number>;
  /** Whether a program that is running may still read the slot, though no word names it any more. */
  inFlight: boolean;
}

/** What the versions of a program are written to. */
export interface HeldVersionsOptions {
  readonly config: RequestConfig;
  readonly words: MappedWords;
  /** Weights of a program by its index; undefined where they are constants of it. */
  readonly weights: (index: number) => BpfMap | undefined;
  /** Whether packets may have met the programs already. */
  readonly running: boolean;
}

const nameOf = (modelId: number, keyVersion: number): string => `${modelId}/${keyVersion}`;

/**
 * Versions and weights of a device's programs. No packet is computed by weights that are being written: words that name their
 * slot say so first, and programs that saw a word from before have ended.
 */
export class HeldVersions {
  readonly #words: MappedWords;
  readonly #slots: ReadonlyMap<number, SlotState>;
  /** Entries by their keys, and where their words stand. */
  readonly #held = new Map<string, Held>();
  readonly #places = new Map<string, number>();
  /** Slots with a budget. */
  readonly #limited = new Set<number>();

  constructor({ config, words, weights, running }: HeldVersionsOptions) {
    this.#words = words;
    const slots = config.programs.flatMap((program) => {
      const map = program.weights.length > 0 ? weights(program.index) : undefined;
      return Array.from({ length: program.slots }, (_, at): [number, SlotState] => [
        firstSlotOf(program.index) + at,
        {
          program,
          weights: map,
          at,
          bytes: Buffer.alloc(map?.info.valueSize ?? 0),
          layers: new Set(),
          inFlight: running,
        },
      ]);
    });
    this.#slots = new Map(slots);
  }

  /** Sets or removes an entry of `models`. @throws Fault */
  setVersion(entry: PlainEntry, present: boolean): void {
    const held = this.#read(entry);
    const name = nameOf(held.modelId, held.keyVersion);
    this.#place(name, held);
    if (present) this.#held.set(name, held);
    else this.#held.delete(name);
    this.#show(name);
  }

  /** Whether versions in a slot ask for its budget. */
  setLimited(slot: number, limited: boolean): void {
    if (limited) this.#limited.add(slot);
    else this.#limited.delete(slot);
    this.#showSlot(slot);
  }

  /** Sets or removes a layer's weights. @throws Fault */
  async setWeights(weights: SlotWeights): Promise<void> {
    const { layer, slot } = weights;
    const state = this.#slotOf(slot);
    // From here on packets of this slot pass on.
    state.layers.delete(layer);
    this.#showSlot(slot);
    if (!holdsWeights(weights)) return;
    if (state.inFlight) await programsEnded();
    state.inFlight = false;
    placeWeights(state, weights);
    state.weights?.update(state.at, state.bytes);
    state.layers.add(layer);
    this.#showSlot(slot);
  }

  /**
   * Takes entries on for programs that may be running.
   * @returns slots whose weights were not right
   */
  takeOver(versions: readonly PlainEntry[], weights: readonly SlotWeights[]): Promise<readonly number[]> {
    for (const w of weights.filter(holdsWeights)) {
      const state = this.#slotOf(w.slot);
      placeWeights(state, w);
      state.layers.add(w.layer);
    }
    for (const held of versions.map((entry) => this.#read(entry)))
      this.#held.set(nameOf(held.modelId, held.keyVersion), held);
    return this.realign();
  }

  /**
   * Brings words and weights in line with what is held. What is right is not touched: its packets are computed all the time.
   * @returns slots whose weights were not right
   */
  async realign(): Promise<readonly number[]> {
    const mended: number[] = [];
    this.#findWords();
    for (const name of [...this.#places.keys()]) if (!this.#held.has(name)) this.#show(name);
    for (const [slot, state] of this.#slots) {
      if (state.weights === undefined || state.weights.lookup(state.at)?.equals(state.bytes)) continue;
      this.#close(slot);
      if (state.layers.size === 0) continue;
      if (state.inFlight) await programsEnded();
      state.inFlight = false;
      state.weights.update(state.at, state.bytes);
      mended.push(slot);
    }
    for (const [name, held] of this.#held) {
      this.#place(name, held);
      this.#show(name);
    }
    return mended;
  }

  close(): void {
    this.#words.close();
  }

  /** Before a program gives way to one with other weights: what it holds is not computed until it is written again. */
  retire(index: number): void {
    this.#findWords();
    for (const [slot, { program }] of this.#slots) if (program.index === index) this.#close(slot);
  }

  /** Reads where the words stand: others may have written them. */
  #findWords(): void {
    this.#places.clear();
    for (let at = 0; at < WORDS; at++) {
      const word = decodeWord(this.#words.get(at));
      if (word !== undefined) this.#places.set(nameOf(word.modelId, askedFor(word)), at);
    }
  }

  /** Packets that would be computed by a slot pass on. */
  #close(slot: number): void {
    for (const at of this.#places.values()) {
      const word = decodeWord(this.#words.get(at));
      if (word?.slot !== slot || word.state !== 'ready') continue;
      this.#words.set(at, encodeWord({ ...word, state: 'noWeights' }));
      this.#slots.get(slot)!.inFlight = true;
    }
  }

  /** @throws Fault INVALID_ARGUMENT */
  #read(entry: PlainEntry): Held {
    const keyVersion = entry.key(1).value;
    const [slot, modelVersion, first, next, count, threshold] = [0, 1, 2, 3, 4, 5].map(entry.parameter);
    if (keyVersion !== 0 && modelVersion !== keyVersion)
      throw invalid(`version ${keyVersion} answers as itself here, not as ${modelVersion}`);
    const { layers, model } = this.#slotOf(slot!).program.manifest;
    return {
      modelId: entry.key(0).value,
      keyVersion,
      modelVersion: modelVersion!,
      slot: slot!,
      threshold: threshold!,
      ours: first === layers.from && next === layers.to && count === model.layerCount,
    };
  }

  /** Finds a word for an entry that has none yet. @throws Fault RESOURCE_EXHAUSTED */
  #place(name: string, { modelId, keyVersion }: Held): void {
    if (this.#places.has(name)) return;
    if (this.#places.size >= MODEL_ENTRIES)
      throw exhausted(`an XDP host holds ${MODEL_ENTRIES} versions, by number and current: delete one first`);
    const at = placesOf(modelId, keyVersion).find((place) => this.#words.get(place) === NO_WORD);
    if (at === undefined)
      throw exhausted(`version ${keyVersion} of model ${modelId} has no place beside those that are here`);
    this.#places.set(name, at);
  }

  /** @throws Fault INVALID_ARGUMENT */
  #slotOf(slot: number): SlotState {
    const state = this.#slots.get(slot);
    if (state !== undefined) return state;
    const program = programOf(slot);
    const own = [...this.#slots].filter(([, s]) => s.program.index === program);
    throw invalid(
      own.length === 0
        ? `slot ${slot} is of program ${program}, which is not here`
        : `program ${program} has the slots ${own[0]![0]} to ${own.at(-1)![0]}, not ${slot}`,
    );
  }

  #stateOf({ slot, ours }: Held): WordState {
    if (!ours) return 'otherLayers';
    const { program, layers } = this.#slots.get(slot)!;
    return program.weights.every(({ layer }) => layers.has(layer)) ? 'ready' : 'noWeights';
  }

  #showSlot(slot: number): void {
    for (const [name, held] of this.#held) if (held.slot === slot) this.#show(name);
  }

  /** Writes a word, if it is another than the one that is there. */
  #show(name: string): void {
    const held = this.#held.get(name);
    const at = this.#places.get(name)!;
    const word =
      held === undefined
        ? NO_WORD
        : encodeWord({
            ...held,
            state: this.#stateOf(held),
            current: held.keyVersion === 0,
            limited: this.#limited.has(held.slot),
          });
    const old = this.#words.get(at);
    if (held === undefined) this.#places.delete(name);
    if (word === old) return;
    this.#words.set(at, word);
    const before = decodeWord(old);
    const after = decodeWord(word);
    if (before?.state !== 'ready' || (after?.slot === before.slot && after.state === 'ready')) return;
    const state = this.#slots.get(before.slot);
    if (state !== undefined) state.inFlight = true;
  }
}

function placeWeights({ program, bytes }: SlotState, { layer, entry }: SlotWeights): void {
  const placed = program.weights.find((w) => w.layer === layer);
  if (placed === undefined) throw invalid(`layer ${layer} has no weights`);
  let at = placed.offset;
  for (const [i, array] of placed.arrays.entries()) {
    bytes.set(widened(entry.parameterBytes(i), array.bytes), at);
    at += array.bytes;
  }
}
