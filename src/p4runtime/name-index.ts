import { P4RuntimeError, refusal } from './errors.ts';
import { suggestions } from './suggestions.ts';

/** What P4Info names: an id, a full name, and a short one that need not be unique. */
export interface Named {
  readonly id: number;
  readonly name: string;
  readonly alias: string;
}

/** Objects of one type by id, name or alias. Nothing that is unknown resolves to anything. */
export class NameIndex<T extends Named> implements Iterable<T> {
  readonly #what: string;
  readonly #items: readonly T[];
  readonly #byId = new Map<number, T>();
  readonly #byName = new Map<string, T>();
  readonly #byAlias = new Map<string, readonly T[]>();

  /**
   * @param options.sharedIds whether two may have one id: nothing is found by it then
   * @throws P4RuntimeError `bad-p4info` on an id or a name that occurs twice, and on id 0.
   */
  constructor(what: string, items: Iterable<T>, { sharedIds = false } = {}) {
    this.#what = what;
    this.#items = [...items];
    for (const item of this.#items) {
      if (item.id === 0) throw refusal('bad-p4info', `${what} ${item.name} has id 0`);
      if (!sharedIds && this.#byId.has(item.id))
        throw refusal('bad-p4info', `two of ${what} have id ${item.id}`);
      if (this.#byName.has(item.name)) throw refusal('bad-p4info', `two of ${what} are called ${item.name}`);
      if (!sharedIds) this.#byId.set(item.id, item);
      this.#byName.set(item.name, item);
      if (item.alias !== '') this.#byAlias.set(item.alias, [...(this.#byAlias.get(item.alias) ?? []), item]);
    }
  }

  /** @throws P4RuntimeError `unknown-name` with suggestions, or `ambiguous-name` */
  get(name: string | number): T {
    const found = this.find(name);
    if (found !== undefined) return found;
    throw new P4RuntimeError({ kind: 'unknown-name', message: this.#unknown(name) });
  }

  /** @throws P4RuntimeError `ambiguous-name` */
  find(name: string | number): T | undefined {
    if (typeof name === 'number') return this.#byId.get(name);
    const byName = this.#byName.get(name);
    if (byName !== undefined) return byName;
    const byAlias = this.#byAlias.get(name) ?? [];
    if (byAlias.length < 2) return byAlias[0];
    const names = byAlias.map((item) => item.name).join(', ');
    throw new P4RuntimeError({
      kind: 'ambiguous-name',
      message: `${this.#what} ${name} may be any of ${names}`,
    });
  }

  get size(): number {
    return this.#items.length;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#items.values();
  }

  #unknown(name: string | number): string {
    if (typeof name === 'number') return `no ${this.#what} has id ${name}`;
    const near = suggestions(name, [...this.#byName.keys(), ...this.#byAlias.keys()]);
    const hint = near.length === 0 ? this.#all() : `; did you mean ${near.join(' or ')}?`;
    return `there is no ${this.#what} ${JSON.stringify(name)}${hint}`;
  }

  #all(): string {
    const names = [...this.#byName.keys()];
    return names.length === 0 ? ': there are none' : `; there are ${names.slice(0, 10).join(', ')}`;
  }
}
