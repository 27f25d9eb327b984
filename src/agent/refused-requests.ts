import { refusedRequests } from '../backends/common/table-model.ts';
import type { BpfMap } from '../bpf/index.ts';
import { refusal } from '../dataplane/abi.ts';
import { canonicalBytes, type Init } from '../p4runtime/index.ts';
import { PolledRing } from './polled-ring.ts';

const POLL_MS = 50;

/** The digest of refused requests: what a program puts into its ring buffer while it is told to. */
export class RefusedRequests implements Disposable {
  readonly #ring: PolledRing;

  constructor(map: BpfMap, tell: (data: Init<'P4Data'>) => void) {
    this.#ring = new PolledRing(map, POLL_MS, (record) => tell(refusalData(record)));
  }

  close(): void {
    this.#ring.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** `struct intransit_refusal` as the digest's data, in the order of its fields. */
function refusalData(record: Buffer): Init<'P4Data'> {
  const values: Readonly<Record<string, bigint>> = refusal.decode(record);
  const members = refusedRequests.fields.map(({ name }) => ({ bitstring: canonicalBytes(values[name]!) }));
  return { struct: { members } };
}
