import { status as grpcStatus } from '@grpc/grpc-js';
import type { Init } from './proto/messages.ts';

/** What went wrong, for programs to branch on; each kind has its remedy. */
const remedies = {
  rpc: 'see the status code and the message of the device',
  'write-failed': 'see `updates`: what is not named there was done; correct those and write them again',
  'read-failed': 'correct the request; what was read before the fault was handed out',
  deadline: 'the outcome of the call is unknown: read the state back, or raise `timeoutMs`',
  unreachable: 'check the address, and that the device runs and listens there',
  tls: 'check the CA, the certificate, its names and dates, and whether the device speaks TLS at all',
  'not-primary': 'wait for the state `primary`, or take over with a higher election id',
  'stream-ended': 'the session reconnects by itself; without reconnection call connect() again',
  'unknown-device': 'use the device id that the device was started with',
  'election-id-taken': 'give every controller of a device its own election id',
  'no-pipeline': 'push a pipeline with pipeline.commit() first',
  'unknown-name': 'use a name or an alias of the P4Info that is loaded',
  'ambiguous-name': 'use the full name',
  'bad-value': 'mind the width that the P4Info states',
  'bad-entry': 'see the P4Info: match kinds, priority, action, parameters',
  'bad-p4info': 'compile the program again, and push P4Info and program of the same compilation',
  'bad-answer': 'the device sent what the standard does not allow; update it, or report it',
  'rollback-failed': 'read the state back: the device holds part of the batch',
  unsupported: 'the device does not offer it',
  closed: 'make a new client',
} as const;

/** What went wrong, for programs to tell apart; each has a remedy. */
export type P4RuntimeErrorKind = keyof typeof remedies;

/** What the device says of one update of a Write. */
export interface UpdateError {
  /** Index of the update among those that the caller gave. */
  readonly index: number;
  /** Canonical gRPC code. */
  readonly code: number;
  readonly message: string;
  /** The update itself. */
  readonly update?: Init<'Update'>;
}

interface P4RuntimeErrorOptions {
  readonly kind: P4RuntimeErrorKind;
  readonly message: string;
  /** The method, where a call failed. */
  readonly call?: string;
  /** Canonical gRPC code; UNKNOWN where no call was made. */
  readonly code?: number;
  readonly updates?: readonly UpdateError[];
  readonly cause?: unknown;
}

/** Most failures named in a message; a batch may fail in thousands of updates for one reason. */
const MOST_UPDATES = 8;

/** Everything that this package throws on its user's, the device's or the network's account. */
export class P4RuntimeError extends Error {
  override readonly name = 'P4RuntimeError';
  readonly kind: P4RuntimeErrorKind;
  readonly call: string | undefined;
  readonly code: number;
  readonly updates: readonly UpdateError[];
  /** What would help. */
  readonly remedy: string;

  constructor({
    kind,
    message,
    call,
    code = grpcStatus.UNKNOWN,
    updates = [],
    cause,
  }: P4RuntimeErrorOptions) {
    super(messageOf(call, code, message, updates), cause === undefined ? {} : { cause });
    this.kind = kind;
    this.call = call;
    this.code = code;
    this.updates = updates;
    this.remedy = remedies[kind];
  }
}

function messageOf(
  call: string | undefined,
  code: number,
  message: string,
  updates: readonly UpdateError[],
): string {
  const head = call === undefined ? message : `${call}: ${statusName(code)} ${message}`.trimEnd();
  const shown = updates.slice(0, MOST_UPDATES);
  const lines = shown.map((u) => `update ${u.index}: ${statusName(u.code)} ${u.message}`.trimEnd());
  if (updates.length > shown.length) lines.push(`and ${updates.length - shown.length} more`);
  return [head, ...lines].join('\n  ');
}

/** `INVALID_ARGUMENT` for 3. */
export const statusName = (code: number): string => grpcStatus[code] ?? `code ${code}`;

/** Shorthand for faults that are found before anything is sent. */
export const refusal = (kind: P4RuntimeErrorKind, message: string): P4RuntimeError =>
  new P4RuntimeError({ kind, message, code: grpcStatus.INVALID_ARGUMENT });
