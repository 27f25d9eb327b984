import { createSocket, type Socket } from 'node:dgram';
import type { Random } from '../../support/random.ts';

/** What becomes of a packet on the way: the packets that go on instead. An answer can go back at once. */
export interface Hop {
  readonly forward?: (payload: Buffer, back: (payload: Uint8Array) => void) => readonly Uint8Array[];
  readonly backward?: (payload: Buffer) => readonly Uint8Array[];
}

export interface Relay {
  readonly port: number;
  close(): void;
}

/** A node between senders and a worker, on loopback; each sender keeps a port of its own towards the worker. */
export async function relay(towards: number, hop: Hop): Promise<Relay> {
  const front = createSocket('udp4');
  const behind = new Map<number, Socket>();
  await new Promise<void>((done) => front.bind(0, '127.0.0.1', done));
  const { forward = (p) => [p], backward = (p) => [p] } = hop;
  const upstream = (port: number): Socket => {
    const known = behind.get(port);
    if (known !== undefined) return known;
    const made = createSocket('udp4');
    behind.set(port, made);
    made.on('message', (payload) => {
      for (const packet of backward(payload)) front.send(packet, port, '127.0.0.1');
    });
    return made;
  };
  front.on('message', (payload, { port }) => {
    const back = (answer: Uint8Array) => front.send(answer, port, '127.0.0.1');
    for (const packet of forward(payload, back)) upstream(port).send(packet, towards, '127.0.0.1');
  });
  return {
    port: front.address().port,
    close() {
      front.close();
      for (const socket of behind.values()) socket.close();
    },
  };
}

/** Loses 10 % of packets, doubles 5 %, and holds 10 % back behind the next; both ways. */
export function lossy(r: Random): Hop {
  const way = () => {
    let held: Buffer[] = [];
    return (payload: Buffer): Buffer[] => {
      if (r.chance(0.1)) return [];
      if (r.chance(0.1)) {
        held.push(payload);
        return [];
      }
      const out = r.chance(0.05) ? [payload, payload] : [payload];
      out.push(...held);
      held = [];
      return out;
    };
  };
  return { forward: way(), backward: way() };
}
