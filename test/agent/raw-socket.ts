/** Whole frames in and out of an interface of any namespace, from this process. */
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { interfaceIndex, withNetns } from '../../src/bpf/index.ts';

const [AF_PACKET, SOCK_RAW, SOL_SOCKET, SO_RCVBUFFORCE, SOL_PACKET, PACKET_IGNORE_OUTGOING] = [
  17, 3, 1, 33, 263, 23,
];
const [ETH_P_ALL, MSG_DONTWAIT] = [3, 0x40];
const RECEIVE_BUFFER = 64 * 2 ** 20;

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, const void *address, uint32_t size)');
const setOption = libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t size)');
const sendBytes = libc.func('long send(int fd, const void *bytes, size_t size, int flags)');
const receiveBytes = libc.func('long recv(int fd, void *bytes, size_t size, int flags)');

const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};

export class RawSocket implements Disposable {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(65_536);

  constructor(netns: string, name: string) {
    this.#fd = withNetns(netns, () => {
      const protocol = (ETH_P_ALL << 8) & 0xffff;
      const fd: number = socket(AF_PACKET, SOCK_RAW, protocol);
      // struct sockaddr_ll.
      const address = Buffer.alloc(20);
      address.writeUInt16LE(AF_PACKET);
      address.writeUInt16LE(protocol, 2);
      address.writeInt32LE(interfaceIndex(name), 4);
      if (fd < 0 || bind(fd, address, address.length) !== 0) throw new Error('no raw socket');
      setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, int(RECEIVE_BUFFER), 4);
      setOption(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, int(1), 4);
      return fd;
    });
  }

  send(frame: Uint8Array): void {
    if (sendBytes(this.#fd, frame, frame.length, 0) !== frame.length) throw new Error('a frame was not sent');
  }

  /** All frames that have come. */
  receive(): Buffer[] {
    const frames: Buffer[] = [];
    for (;;) {
      const size = Number(receiveBytes(this.#fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT));
      if (size < 0) return frames;
      frames.push(Buffer.from(this.#buffer.subarray(0, size)));
    }
  }

  /** Frames, until there are as many or the time is over. */
  async until(count: number, timeoutMs = 2_000): Promise<Buffer[]> {
    const frames = this.receive();
    for (const end = Date.now() + timeoutMs; frames.length < count && Date.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      frames.push(...this.receive());
    }
    return frames;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
