import { BpfError } from './errors.ts';

/**
 * Whether a file descriptor may still be used. Programs and maps share the lease of their object: after `close()` the
 * kernel may give the same number to another file, so a late call must fail here and not reach that file.
 */
export class Lease {
  #open = true;
  readonly #what: string;

  constructor(what: string) {
    this.#what = what;
  }

  /** @returns true the first time */
  end(): boolean {
    const wasOpen = this.#open;
    this.#open = false;
    return wasOpen;
  }

  /** @throws BpfError `bpf-closed` */
  check(): void {
    if (this.#open) return;
    throw new BpfError('bpf-closed', `${this.#what} is closed`, { remedy: 'close it after its last use' });
  }
}
