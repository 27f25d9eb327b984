import { FrameSender, interfaceIndex, RingBuffer } from '../bpf/index.ts';
import { refuse } from '../diagnostics/index.ts';
import {
  type ClassCounts,
  classCounts,
  decodeRecord,
  encodeClass,
  encodeRate,
  type FlowQuestion,
  type ToldEnd,
  type ToldVerdict,
  WANTED,
} from '../runtime/xdp/flow-actions.ts';
import { setWanted } from '../runtime/xdp/flow-asking.ts';
import type { XdpFlowDevice } from '../runtime/xdp/flow-device.ts';
import { deviceAction, type NamedAction, sessionOf, type Target } from './actions.ts';

const POLL_MS = 20;

/** Actions on what one interface receives; ports are other interfaces of this host. */
export class LiveActions implements Disposable {
  readonly #device: XdpFlowDevice;
  readonly #ring: RingBuffer;
  readonly #sender: FrameSender;
  readonly #timer: NodeJS.Timeout;
  readonly #copies = new Map<number, readonly number[]>();

  /**
   * Writes the actions into the maps of a device that was loaded to act.
   * @param told hears of flows that become a class whose action says so
   * @param ended hears of all flows that end, where they are classified then
   * @param ask is given the flows that a larger model is to be asked about
   * @throws BpfError `bpf-interface` where there is no such interface
   */
  constructor(
    device: XdpFlowDevice,
    actions: readonly NamedAction[],
    told: (verdict: ToldVerdict) => void,
    ended?: (end: ToldEnd) => void,
    ask?: (question: FlowQuestion) => void,
  ) {
    this.#device = device;
    const ports: number[] = [];
    const indexOf = (target: Target): number => {
      if (typeof target === 'number') refuse('actions-target', { target, what: 'no interface' });
      return interfaceIndex(target);
    };
    const portOf = (target: Target): number => {
      const ifindex = indexOf(target);
      const known = ports.indexOf(ifindex);
      if (known >= 0) return known;
      const port = ports.push(ifindex) - 1;
      device.map('tx').update(port, ifindex);
      return port;
    };
    for (const a of actions) {
      this.#copies.set(sessionOf(a), a.copy.map(indexOf));
      device.map('rates').update(a.class, encodeRate(a.rate));
      device.map('classes').update(a.class, encodeClass(deviceAction(a, portOf, sessionOf(a))));
    }
    setWanted(
      device.map('telling'),
      ended === undefined ? WANTED.verdicts : WANTED.verdicts | WANTED.endings,
    );
    this.#sender = new FrameSender();
    this.#ring = new RingBuffer(device.map('told'), (bytes) => {
      const record = decodeRecord(bytes);
      if (record?.kind === 'verdict') told(record);
      if (record?.kind === 'end') ended?.(record);
      if (record?.kind === 'question') ask?.(record);
      if (record?.kind === 'copy')
        for (const ifindex of this.#copies.get(record.session) ?? [])
          this.#sender.send(ifindex, record.frame);
    });
    this.#timer = setInterval(() => this.#ring.consume(), POLL_MS);
  }

  /** Gives on what has been told. */
  consume(): void {
    this.#ring.consume();
  }

  /** By class; what came to pass of each. @param count of the classes */
  counts(count: number): readonly ClassCounts[] {
    const map = this.#device.map('class_counts');
    return Array.from({ length: count }, (_, c) => classCounts(map.sumPerCpu(c) ?? []));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#ring.consume();
    this.#ring.close();
    this.#sender.close();
  }
}
