import { FLOW_DIGEST_ID, flowDigest } from '../backends/common/flow/tables.ts';
import type { BpfMap, FrameSender } from '../bpf/index.ts';
import { canonicalBytes, type Init } from '../p4runtime/index.ts';
import {
  decodeRecord,
  type FlowQuestion,
  type PacketCopy,
  type ToldVerdict,
} from '../runtime/xdp/flow-actions.ts';
import { PolledRing } from './polled-ring.ts';
import type { Tell } from './program-tables.ts';

const POLL_MS = 20;

/** Where copies of a session go; `length` cuts them, 0 does not. */
export interface CopySession {
  readonly ifindexes: readonly number[];
  readonly length: number;
}

/**
 * Reads what a program of flows tells: verdicts become digests, copies go out of the ports of their session, and
 * questions to whoever asks them.
 */
export class ToldFlows {
  readonly #ring: PolledRing;
  readonly #sender: FrameSender;

  /**
   * @param sender is closed with it
   * @param features that a digest has
   * @param session of a number, undefined where there is none
   * @param ask is given the flows that a larger model is to be asked about
   */
  constructor(
    ring: BpfMap,
    sender: FrameSender,
    tell: Tell,
    features: number,
    session: (number: number) => CopySession | undefined,
    ask: (question: FlowQuestion) => void,
  ) {
    this.#sender = sender;
    this.#ring = new PolledRing(ring, POLL_MS, (bytes) => {
      const record = decodeRecord(bytes);
      if (record?.kind === 'verdict') tell(FLOW_DIGEST_ID, verdictData(record, features));
      else if (record?.kind === 'copy') this.#copy(record, session(record.session));
      else if (record?.kind === 'question') ask(record);
    });
  }

  close(): void {
    this.#ring.consume();
    this.#ring.close();
    this.#sender.close();
  }

  #copy({ frame }: PacketCopy, session: CopySession | undefined): void {
    if (session === undefined) return;
    const bytes = session.length === 0 ? frame : frame.subarray(0, session.length);
    for (const ifindex of session.ifindexes) this.#sender.send(ifindex, bytes);
  }
}

/** The digest's data, in the order of its fields. @param features that it has, zeros behind those of the flow's model */
export function verdictData(v: ToldVerdict, features: number): Init<'P4Data'> {
  const values: Readonly<Record<string, number | Uint8Array>> = {
    class: v.class,
    margin: v.margin,
    ip_version: v.ipVersion,
    ip_protocol: v.protocol,
    client: v.client,
    client_port: v.clientPort,
    server: v.server,
    server_port: v.serverPort,
    features: Buffer.concat([v.features, Buffer.alloc(features)]).subarray(0, features),
  };
  const members = flowDigest(features, FLOW_DIGEST_ID).fields.map(({ name }) => {
    const value = values[name]!;
    const number = typeof value === 'number' ? value : BigInt(`0x0${Buffer.from(value).toString('hex')}`);
    return { bitstring: canonicalBytes(number) };
  });
  return { struct: { members } };
}
