import { type Address, Cookies } from './cookies.ts';

/** How long an address counts as one that listens, after it has shown it. */
const GOOD_FOR_MS = 300_000;

/** Addresses remembered at most, and ports of one host among them: the oldest make room, and are asked again. */
const MOST = 16_384;
const MOST_OF_HOST = 1024;

/** The addresses that have shown that they listen. */
export class Listeners {
  readonly #cookies = new Cookies();
  /** By host, its ports in the order of their proofs, with the time until which each is good. */
  readonly #hosts = new Map<string, Map<number, number>>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  has({ address, port }: Address, now: number): boolean {
    const until = this.#hosts.get(address)?.get(port);
    return until !== undefined && now < until;
  }

  /** What the address has to bring back. */
  challenge(of: Address, now: number): Uint8Array {
    return this.#cookies.make(of, now);
  }

  /** Takes what it brought; returns whether that is a proof. */
  prove(token: Uint8Array, of: Address, now: number): boolean {
    if (!this.#cookies.isGood(token, of, now)) return false;
    const ports = this.#hosts.get(of.address) ?? new Map<number, number>();
    this.#forget(of.address, ports, of.port);
    if (ports.size >= MOST_OF_HOST) this.#forget(of.address, ports, first(ports));
    if (this.#length >= MOST) this.#forgetOldestHost();
    ports.set(of.port, now + GOOD_FOR_MS);
    this.#length++;
    // To the end: it is the youngest now.
    this.#hosts.delete(of.address);
    this.#hosts.set(of.address, ports);
    return true;
  }

  #forgetOldestHost(): void {
    const host = first(this.#hosts);
    const ports = host === undefined ? undefined : this.#hosts.get(host);
    if (host !== undefined && ports !== undefined) this.#forget(host, ports, first(ports));
  }

  #forget(host: string, ports: Map<number, number>, port: number | undefined): void {
    if (port !== undefined && ports.delete(port)) this.#length--;
    if (ports.size === 0) this.#hosts.delete(host);
  }
}

const first = <K>(map: ReadonlyMap<K, unknown>): K | undefined => map.keys().next().value;
