import type { BpfMap, BpfObject, BpfProgram, MappedWords } from '../../bpf/index.ts';
import { openObject, waitForPrograms } from '../../bpf/index.ts';
import { decodeWord, encodeWord, NO_WORD, placesOf, type Word } from '../../dataplane/words.ts';
import { type PacketOutcome, packetOutcomes } from '../../wire/index.ts';

/** Index of one of the two versions of the weights that a device holds side by side. */
export type Slot = 0 | 1;

/** What one slot holds. */
export interface SlotContents {
  readonly modelId: number;
  readonly modelVersion: number;
  /** The program's weights struct; absent for programs with the weights in their code. */
  readonly weights?: Uint8Array;
  /** Least margin at which a verdict is an answer; default 0, every one is. */
  readonly threshold?: number;
}

/**
 * A loaded program with its tables, for the process that loaded it: it computes and turns round, and forwards nothing
 * (that is `intransit agent`). Every change is one word as far as packets can see: weights are written while no word
 * names their slot, and no program that saw one that did is still running.
 */
export class XdpDevice implements Disposable {
  readonly #object: BpfObject;
  readonly #words: MappedWords;
  readonly #held = new Map<Slot, Word>();
  #active: Slot = 0;

  private constructor(object: BpfObject) {
    this.#object = object;
    this.#words = object.map('models').words();
  }

  /** Loads the object. @throws BpfError, VerifierError */
  static async load(elf: string | Uint8Array): Promise<XdpDevice> {
    return new XdpDevice(await openObject(elf, { name: 'intransit' }));
  }

  get program(): BpfProgram {
    return this.#object.program('intransit');
  }

  /** Puts a version into a slot. Packets that ask for what was there pass untouched from now on. */
  install(slot: Slot, { modelId, modelVersion, weights, threshold = 0 }: SlotContents): void {
    if (this.clear(slot)) waitForPrograms();
    if (weights !== undefined && weights.length > 0) this.#map('weights').update(slot, weights);
    this.#map('model_ids').update(modelId, 1);
    const word = { modelId, modelVersion, slot, threshold, state: 'ready', limited: false } as const;
    this.#set(modelId, modelVersion, encodeWord({ ...word, current: false }));
    if (this.#active === slot) this.#set(modelId, 0, encodeWord({ ...word, current: true }));
    this.#held.set(slot, { ...word, current: false });
  }

  /** @returns whether there was something */
  clear(slot: Slot): boolean {
    const held = this.#held.get(slot);
    if (held === undefined) return false;
    const { modelId, modelVersion } = held;
    this.#held.delete(slot);
    if (this.#active === slot) this.#set(modelId, 0, NO_WORD);
    this.#set(modelId, modelVersion, NO_WORD);
    if ([...this.#held.values()].every((other) => other.modelId !== modelId))
      this.#map('model_ids').delete(modelId);
    return true;
  }

  /** Packets that ask for version 0 are computed by this slot from now on: one write. */
  activate(slot: Slot): void {
    const before = this.#held.get(this.#active);
    const held = this.#held.get(slot);
    this.#active = slot;
    if (before !== undefined && before.modelId !== held?.modelId) this.#set(before.modelId, 0, NO_WORD);
    if (held !== undefined) this.#set(held.modelId, 0, encodeWord({ ...held, current: true }));
  }

  /** Writes the word of a version over what is there of it. */
  #set(modelId: number, asked: number, word: bigint): void {
    const places = placesOf(modelId, asked);
    const same = (at: number) => {
      const there = decodeWord(this.#words.get(at));
      return (
        there?.modelId === modelId &&
        (asked === 0 ? there.current : there.modelVersion === asked && !there.current)
      );
    };
    const at = places.find(same) ?? places.find((place) => this.#words.get(place) === NO_WORD);
    // Two versions and their current one fit anywhere.
    if (at === undefined) throw new Error('no word is free');
    this.#words.set(at, word);
  }

  get active(): Slot {
    return this.#active;
  }

  /** Zone 0, any, is always allowed. */
  allowZone(zone: number, allowed: boolean): void {
    this.#map('zones').update(zone, allowed ? 1 : 0);
  }

  /** Packets by what became of them, since the program was loaded. */
  counters(): Record<PacketOutcome, bigint> {
    return readCounters(this.#map('outcomes'));
  }

  close(): void {
    this.#words.close();
    this.#object.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #map(name: string): BpfMap {
    return this.#object.map(name);
  }
}

/** Packets by their outcome. @param map `outcomes` of the device */
export function readCounters(map: BpfMap): Record<PacketOutcome, bigint> {
  const entries = packetOutcomes.map(({ name }, i) => [name, map.sumPerCpu(i)![0]!] as const);
  return Object.fromEntries(entries) as Record<PacketOutcome, bigint>;
}
