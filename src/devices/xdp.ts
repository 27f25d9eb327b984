import type { BpfMap, BpfObject, BpfProgram } from '../bpf/index.ts';
import { openObject } from '../bpf/index.ts';
import { type VerdictName, verdicts } from '../wire/index.ts';

/** Index of one of the two versions of the weights that a device holds side by side. */
export type Slot = 0 | 1;

/** What one slot holds. */
export interface SlotContents {
  readonly modelId: number;
  readonly modelVersion: number;
  /** The program's weights struct; absent for programs with the weights in their code. */
  readonly weights?: Uint8Array;
}

/**
 * A loaded program with its tables. Every change is one write of at most eight bytes as far as packets can see: weights are
 * written while their slot is marked empty.
 */
export class XdpDevice implements Disposable {
  readonly #object: BpfObject;

  private constructor(object: BpfObject) {
    this.#object = object;
  }

  /** Loads the object; the zone "any" is allowed. @throws BpfError, VerifierError */
  static async load(elf: string | Uint8Array): Promise<XdpDevice> {
    const device = new XdpDevice(await openObject(elf, { name: 'intransit' }));
    device.allowZone(0, true);
    return device;
  }

  get program(): BpfProgram {
    return this.#object.program('intransit');
  }

  /** Puts a version into a slot. Packets that ask for what was there pass untouched from now on. */
  install(slot: Slot, contents: SlotContents): void {
    this.clear(slot);
    if (contents.weights !== undefined && contents.weights.length > 0)
      this.#map('weights').update(slot, contents.weights);
    this.#map('slots').update(slot, encodeSlot(contents.modelId, contents.modelVersion, 1));
  }

  clear(slot: Slot): void {
    this.#map('slots').update(slot, encodeSlot(0, 0, 0));
  }

  /** Packets that ask for version 0 are computed by this slot from now on: one write. */
  activate(slot: Slot): void {
    this.#map('active').update(0, slot);
  }

  get active(): Slot {
    return this.#map('active').lookup(0)!.readUInt32LE() === 1 ? 1 : 0;
  }

  allowZone(zone: number, allowed: boolean): void {
    this.#map('zones').update(zone, allowed ? 1 : 0);
  }

  /** Packets by what became of them, since the program was loaded. */
  counters(): Record<VerdictName, bigint> {
    const map = this.#map('verdicts');
    const entries = verdicts.map(({ name }, i) => [name, map.sumPerCpu(i)![0]!] as const);
    return Object.fromEntries(entries) as Record<VerdictName, bigint>;
  }

  close(): void {
    this.#object.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #map(name: string): BpfMap {
    return this.#object.map(name);
  }
}

/** `struct intransit_slot`, eight bytes. */
function encodeSlot(modelId: number, modelVersion: number, valid: 0 | 1): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(modelId, 0);
  bytes.writeUInt16LE(modelVersion, 2);
  bytes.writeUInt32LE(valid, 4);
  return bytes;
}
