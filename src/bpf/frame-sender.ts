/** Whole frames out of interfaces. */
import { closeSync } from 'node:fs';
import { KernelCallError } from './errors.ts';
import { libbpf } from './native.ts';

const [AF_PACKET, SOCK_RAW, MSG_DONTWAIT] = [17, 3, 0x40];
/** Of `struct sockaddr_ll`. */
const ADDRESS_BYTES = 20;

/** Sends from the namespace in which it was made, and receives nothing. */
export class FrameSender implements Disposable {
  readonly #fd: number;
  readonly #address = Buffer.alloc(ADDRESS_BYTES);

  /** @throws KernelCallError without CAP_NET_RAW */
  constructor() {
    this.#fd = libbpf().socket(AF_PACKET, SOCK_RAW, 0);
    if (this.#fd < 0) throw new KernelCallError('open a raw socket', libbpf().errno(), 'run as root');
    this.#address.writeUInt16LE(AF_PACKET);
  }

  /** @returns whether the interface took it: one that is full, down or gone loses the frame, as a switch's port does */
  send(ifindex: number, frame: Uint8Array): boolean {
    this.#address.writeInt32LE(ifindex, 4);
    const sent = libbpf().sendTo(this.#fd, frame, frame.length, MSG_DONTWAIT, this.#address, ADDRESS_BYTES);
    return Number(sent) === frame.length;
  }

  close(): void {
    closeSync(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
