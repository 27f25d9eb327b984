import { status as grpcStatus, Metadata, type ServiceError } from '@grpc/grpc-js';
import { p4runtimeRoot } from './schema.ts';

/** What the server says of one update of a batch. */
export interface UpdateError {
  /** Index of the update in the batch. */
  readonly index: number;
  readonly code: number;
  readonly message: string;
}

/** A call that failed, with the server's reason for each update where it gave one. */
export class P4RuntimeError extends Error {
  override readonly name = 'P4RuntimeError';
  readonly code: number;
  readonly updates: readonly UpdateError[];

  constructor(call: string, code: number, message: string, updates: readonly UpdateError[] = []) {
    const details = updates.map((u) => `update ${u.index}: ${statusName(u.code)} ${u.message}`.trimEnd());
    super([`${call}: ${statusName(code)} ${message}`.trimEnd(), ...details].join('\n  '));
    this.code = code;
    this.updates = updates;
  }
}

/** `INVALID_ARGUMENT` for 3. */
export const statusName = (code: number): string => grpcStatus[code] ?? `code ${code}`;

/** Most failures named in a message; a batch may fail in hundreds of updates for one reason. */
const MOST_UPDATES = 8;

/**
 * A failed Write carries one `p4.v1.Error` an update (code 0 where it worked) in the trailer
 * `grpc-status-details-bin`, a `google.rpc.Status`.
 */
export function p4runtimeError(call: string, error: ServiceError): P4RuntimeError {
  const details = (error.metadata ?? new Metadata()).get('grpc-status-details-bin')[0];
  if (!(details instanceof Buffer)) return new P4RuntimeError(call, error.code, error.details);
  return new P4RuntimeError(call, error.code, error.details, decodeDetails(details).slice(0, MOST_UPDATES));
}

function decodeDetails(details: Uint8Array): UpdateError[] {
  const statusType = p4runtimeRoot.lookupType('google.rpc.Status');
  const errorType = p4runtimeRoot.lookupType('p4.v1.Error');
  try {
    const { details: items } = statusType.decode(details) as unknown as {
      details: readonly { value: Uint8Array }[];
    };
    return items
      .map((item, index) => {
        const e = errorType.decode(item.value) as unknown as { canonicalCode: number; message: string };
        return { index, code: e.canonicalCode, message: e.message };
      })
      .filter((e) => e.code !== grpcStatus.OK);
  } catch {
    // A trailer of another shape says nothing that could be shown; the status itself remains.
    return [];
  }
}
