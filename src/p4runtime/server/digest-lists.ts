import type { Init, Message } from '../proto/messages.ts';
import { v1Codec } from '../proto/registry.ts';

const dataCodec = v1Codec('P4Data');
const NS_IN_MS = 1_000_000n;

interface List {
  readonly items: Map<string, Init<'P4Data'>>;
  timer: NodeJS.Timeout | undefined;
}

type Send = (list: Init<'DigestList'>) => void;
const keyOf = (data: Init<'P4Data'>): string => Buffer.from(dataCodec.encode(data)).toString('base64');

/** Items of digests, gathered into lists and held back until they are acknowledged (section "DigestEntry"). */
export class DigestLists {
  readonly #send: Send;
  readonly #open = new Map<number, List>();
  /** By digest and item: when it may be sent again, in ms of the clock. */
  readonly #unacknowledged = new Map<
    number,
    Map<string, { readonly listId: bigint; readonly until: number }>
  >();
  #listId = 0n;

  constructor(send: Send) {
    this.#send = send;
  }

  /** Takes an item; of a digest that is off, none. */
  add(digestId: number, data: Init<'P4Data'>, config: Init<'DigestEntry.Config'> | undefined): void {
    if (config === undefined) return;
    const key = keyOf(data);
    const held = this.#unacknowledged.get(digestId)?.get(key);
    if (held !== undefined && held.until > Date.now()) return;
    const list = this.#open.get(digestId) ?? { items: new Map(), timer: undefined };
    this.#open.set(digestId, list);
    list.items.set(key, data);
    const wait = BigInt(config.maxTimeoutNs ?? 0);
    const most = config.maxListSize ?? 0;
    if (wait === 0n || (most > 0 && list.items.size >= most)) this.#flush(digestId, config);
    else list.timer ??= setTimeout(() => this.#flush(digestId, config), Number(wait / NS_IN_MS) || 1);
  }

  acknowledge({ digestId, listId }: Message<'DigestListAck'>): void {
    const held = this.#unacknowledged.get(digestId);
    for (const [key, item] of held ?? []) if (item.listId === listId) held?.delete(key);
  }

  /** Forgets what is not yet sent: of one digest, or of all. */
  clear(digestId?: number): void {
    for (const [id, list] of this.#open)
      if (digestId === undefined || id === digestId) {
        clearTimeout(list.timer);
        this.#open.delete(id);
        this.#unacknowledged.delete(id);
      }
  }

  #flush(digestId: number, config: Init<'DigestEntry.Config'>): void {
    const list = this.#open.get(digestId);
    if (list === undefined) return;
    clearTimeout(list.timer);
    this.#open.delete(digestId);
    const listId = ++this.#listId;
    const hold = Number(BigInt(config.ackTimeoutNs ?? 0) / NS_IN_MS);
    const held = this.#unacknowledged.get(digestId) ?? new Map();
    this.#unacknowledged.set(digestId, held);
    if (hold > 0) for (const key of list.items.keys()) held.set(key, { listId, until: Date.now() + hold });
    this.#send({
      digestId,
      listId,
      data: [...list.items.values()],
      timestamp: BigInt(Date.now()) * NS_IN_MS,
    });
  }
}
