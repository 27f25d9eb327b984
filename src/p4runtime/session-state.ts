import type { P4RuntimeError } from './errors.ts';
import type { Message } from './proto/messages.ts';

/** Where a session stands. Only in `primary` may it write. */
export type SessionState =
  /** Not begun, or between two attempts: `error` says why the last one ended. */
  | { readonly kind: 'disconnected'; readonly attempt: number; readonly error?: P4RuntimeError }
  | { readonly kind: 'connecting'; readonly attempt: number }
  /** The bid is sent and not yet answered. */
  | { readonly kind: 'arbitrating'; readonly electionId: bigint }
  /** `highest` is the id of the primary, or the highest that there was. */
  | {
      readonly kind: 'backup';
      readonly electionId: bigint;
      readonly highest?: bigint;
      readonly hasPrimary: boolean;
    }
  | { readonly kind: 'primary'; readonly electionId: bigint }
  /** For good: by close(), or by a fault that no retry mends. */
  | { readonly kind: 'closed'; readonly error?: P4RuntimeError };

/** What a session tells its listeners, by the name of the event. */
export interface SessionEvents {
  readonly state: SessionState;
  readonly packetIn: Message<'PacketIn'>;
  readonly digest: Message<'DigestList'>;
  readonly idleTimeout: Message<'IdleTimeoutNotification'>;
  /** The device's complaint about something sent on the stream; the stream goes on. */
  readonly streamError: Message<'StreamError'>;
}

/** As whom a client speaks to a device, and how it deals with a connection that breaks. */
export interface SessionOptions {
  readonly deviceId: bigint | number;
  /** Default 1. Every controller of a device needs its own. */
  readonly electionId?: bigint;
  /** By name; left out it is the default role, which may do everything. */
  readonly role?: string;
  /** Packed `google.protobuf.Any` of the role's configuration, as agreed with the device. */
  readonly roleConfig?: { readonly typeUrl: string; readonly value: Uint8Array };
  /** Deadline of each call in ms; default 10,000. */
  readonly timeoutMs?: number;
  /** Connect again after a loss; default true. */
  readonly reconnect?: boolean;
  /** Delays between attempts in ms: the first, doubled up to the last; default 50 and 1,000. */
  readonly backoffMs?: readonly [first: number, last: number];
  /** A backup that hears of no primary bids higher; default true. */
  readonly takeover?: boolean;
  /** With an election id that another controller uses, try the next lower ones; default true. */
  readonly rebid?: boolean;
}
