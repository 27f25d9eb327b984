import { refuse } from '../../diagnostics/index.ts';
import type { PortPacket } from './dataplane.ts';
import { type Bmv2Session, PORT_IN } from './session.ts';
import { lastLine } from './switch.ts';

/** Packets under way at a time: enough to keep the switch busy, but fewer than its egress queue holds (64). */
const WINDOW = 60;

const DEFAULT_TIMEOUT_MS = 10_000;

/** Packets into one port of a switch, and as many out of another. */
export interface Exchange {
  /** Packets to send, and to wait for. */
  readonly count: number;
  frame(index: number): Uint8Array;
  /** May throw: the exchange then fails with that error. */
  receive(packet: PortPacket, received: number): void;
  /** How long the switch may be silent, in ms. */
  readonly timeoutMs?: number;
  /** File to name in messages. */
  readonly file: string;
}

/**
 * Sends packets into the switch and takes as many out of it, a window of them under way at a time.
 * @throws DiagnosticError where the switch dies or falls silent
 */
export function exchange(session: Bmv2Session, x: Exchange): Promise<void> {
  const { dataplane, device } = session;
  const timeoutMs = x.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  if (x.count === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    let sent = 0;
    let received = 0;
    const silence = setTimeout(
      () => fail(`${received} of ${x.count} packets came back, then none for ${timeoutMs / 1000} s`),
      timeoutMs,
    );
    const settle = (error?: unknown): void => {
      clearTimeout(silence);
      dataplane.listen(
        () => {},
        () => {},
      );
      if (error === undefined) resolve();
      else reject(error);
    };
    const fail = (summary: string): void => {
      const ended = device.ended();
      try {
        const reason = ended === undefined ? summary : lastLine(device.log(), ended);
        refuse('switch-failed', { summary: reason }, { file: x.file }, device.log());
      } catch (error) {
        settle(error);
      }
    };
    const send = (): void => dataplane.send(PORT_IN, x.frame(sent++));
    const receive = (packet: PortPacket): void => {
      silence.refresh();
      received++;
      try {
        x.receive(packet, received);
      } catch (error) {
        settle(error);
        return;
      }
      if (received === x.count) settle();
      else if (sent < x.count) send();
    };
    dataplane.listen(receive, (error) => fail(error.message));
    while (sent < Math.min(WINDOW, x.count)) send();
  });
}
