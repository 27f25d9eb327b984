/** Where things are in etcd, below a prefix. */
export class Keys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  readonly spec = (): Buffer => this.#key('spec');
  readonly object = (kind: string, name: string): Buffer => this.#key(`objects/${kind}/${name}`);
  readonly objects = (): Range => this.#range('objects/');
  readonly eventBatch = (name: string): Buffer => this.#key(`events/${name}`);
  readonly events = (): Range => this.#range('events/');
  /** Everything that watchers are told of. */
  readonly all = (): Range => this.#range('');
  readonly lease = (lease: string): Buffer => this.#key(`leases/${lease}`);
  readonly leases = (prefix: string): Range => this.#range(`leases/${prefix}`);
  readonly holder = (lease: string): Buffer => this.#key(`holders/${lease}`);
  /** Of who holds a lease: written again and again, so that others see that he lives. */
  readonly beat = (lease: string): Buffer => this.#key(`beats/${lease}`);
  readonly term = (lease: string): Buffer => this.#key(`terms/${lease}`);
  readonly terms = (): Range => this.#range('terms/');
  readonly digest = (digest: string): Buffer => this.#key(`digests/${digest}`);
  readonly digests = (): Range => this.#range('digests/');
  readonly chunk = (digest: string, index: number): Buffer =>
    this.#key(`chunks/${digest}/${String(index).padStart(6, '0')}`);
  readonly chunks = (digest: string): Range => this.#range(`chunks/${digest}/`);

  /** Of a key what stands behind the prefix, in its parts. */
  parts(key: Buffer): readonly string[] {
    return key.toString('utf8').slice(this.#prefix.length).split('/');
  }

  #key(name: string): Buffer {
    return Buffer.from(`${this.#prefix}${name}`);
  }

  /** All keys that begin so: up to the first that does not any more. */
  #range(name: string): Range {
    const key = this.#key(name);
    const range_end = Buffer.from(key);
    range_end[range_end.length - 1]!++;
    return { key, range_end };
  }
}

/** Keys from `key` on, up to `range_end` without it. */
export interface Range {
  readonly key: Buffer;
  readonly range_end: Buffer;
}
