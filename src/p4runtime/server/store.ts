import type { Init } from '../proto/messages.ts';
import type { P4Device } from './device.ts';
import { invalid } from './fault.ts';

type Cells<T> = Map<number, Map<number, T>>;

/** What a controller has written under one P4Info. Holds no rules: those are in the checks. */
export class Store {
  /** Entries by table and key. */
  readonly tables = new Map<number, Map<string, Init<'TableEntry'>>>();
  /** Default actions that a controller has set. */
  readonly defaults = new Map<number, Init<'TableEntry'>>();
  /** The program's own, as far as they are known. */
  readonly ownDefaults = new Map<number, Init<'TableEntry'>>();
  readonly #members: Cells<Init<'ActionProfileMember'>> = new Map();
  readonly #groups: Cells<Init<'ActionProfileGroup'>> = new Map();
  readonly counters: Cells<Init<'CounterData'>> = new Map();
  readonly meters: Cells<Init<'MeterConfig'>> = new Map();
  readonly registers: Cells<Init<'P4Data'>> = new Map();
  readonly valueSets = new Map<number, readonly Init<'ValueSetMember'>[]>();
  readonly multicast = new Map<number, Init<'MulticastGroupEntry'>>();
  readonly clones = new Map<number, Init<'CloneSessionEntry'>>();
  readonly digests = new Map<number, Init<'DigestEntry.Config'>>();
  /** By the ids of type and instance, and what its entries are told apart by. */
  readonly externs = new Map<string, Map<string, Init<'ExternEntry'>>>();
  /** Whose state it is: what it has, and what it can. */
  readonly device: P4Device;

  constructor(device: P4Device) {
    this.device = device;
  }

  entries(tableId: number): Map<string, Init<'TableEntry'>> {
    return cellsOf(this.tables, tableId);
  }

  members(profileId: number): Map<number, Init<'ActionProfileMember'>> {
    return cellsOf(this.#members, profileId);
  }

  groups(profileId: number): Map<number, Init<'ActionProfileGroup'>> {
    return cellsOf(this.#groups, profileId);
  }

  /** Whether an entry names a member or a group, or holds a one-shot, as `find` looks for. */
  anyAction(find: (action: Init<'TableAction'>) => boolean): boolean {
    for (const entries of this.tables.values())
      for (const { action } of entries.values()) if (action !== undefined && find(action)) return true;
    return false;
  }

  /** Tables by the profile that they use; filled by the owner of the P4Info. */
  readonly tablesOfProfile = new Map<number, readonly number[]>();

  usesOneShots(profileId: number): boolean {
    return (this.tablesOfProfile.get(profileId) ?? []).some((tableId) =>
      [...this.entries(tableId).values()].some((e) => e.action?.actionProfileActionSet !== undefined),
    );
  }

  /** @throws Fault INVALID_ARGUMENT; an empty port is none */
  checkPort(port: Uint8Array | undefined): void {
    if (port !== undefined && port.length > 0 && this.device.hasPort?.(port) === false)
      throw invalid(`there is no port 0x${Buffer.from(port).toString('hex')}`);
  }
}

/** The cells of an array by index, made empty when first asked for; cells that are not there have their default. */
export function cellsOf<I, K, T>(maps: Map<I, Map<K, T>>, id: I): Map<K, T> {
  const cells = maps.get(id) ?? new Map<K, T>();
  maps.set(id, cells);
  return cells;
}
