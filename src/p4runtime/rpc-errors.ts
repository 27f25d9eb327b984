import { status as grpcStatus, Metadata, type ServiceError } from '@grpc/grpc-js';
import { P4RuntimeError, type P4RuntimeErrorKind, type UpdateError } from './errors.ts';
import type { Init, Message } from './proto/messages.ts';
import { statusCodec, v1Codec } from './proto/registry.ts';

const DETAILS = 'grpc-status-details-bin';
const ERROR_TYPE = 'type.googleapis.com/p4.v1.Error';
const errorCodec = v1Codec('Error');

/** What grpc-js and OpenSSL say when the transport, not the device, refuses. */
const TLS = /certificate|SSL|TLS|handshake|wrong version number|self.signed|altnames|EPROTO/i;

function kindOf(call: string, code: number, message: string): P4RuntimeErrorKind {
  switch (code) {
    case grpcStatus.DEADLINE_EXCEEDED:
      return 'deadline';
    case grpcStatus.UNAVAILABLE:
      return TLS.test(message) ? 'tls' : 'unreachable';
    case grpcStatus.PERMISSION_DENIED:
      return 'not-primary';
    case grpcStatus.UNIMPLEMENTED:
      return 'unsupported';
    case grpcStatus.NOT_FOUND:
      return call === 'Write' || call === 'Read' || call === 'StreamChannel' ? 'unknown-device' : 'rpc';
    case grpcStatus.FAILED_PRECONDITION:
      return call === 'StreamChannel' ? 'rpc' : 'no-pipeline';
    default:
      return 'rpc';
  }
}

/** A call's failure without details of its updates. */
export const rpcFailure = (call: string, code: number, message: string, cause?: unknown): P4RuntimeError =>
  new P4RuntimeError({ kind: kindOf(call, code, message), call, code, message, cause });

/**
 * The failure of a call. Of a Write it names each update that failed: the trailer carries one `p4.v1.Error` an update, in
 * order, with code 0 where it worked (section "Error Reporting"). Details that are missing, or whose number is not that of
 * the updates, are of no use: the error is one for the whole call then.
 *
 * @param offset of the first update among those that the caller gave
 */
export function writeFailure(
  error: ServiceError,
  updates: readonly Init<'Update'>[],
  offset = 0,
): P4RuntimeError {
  const details = detailsOf(error);
  const failed = details?.length === updates.length ? updateErrors(details, updates, offset) : [];
  if (failed.length === 0) return rpcFailure('Write', error.code, error.details, error);
  const message = `${failed.length} of ${updates.length} updates failed`;
  return new P4RuntimeError({
    kind: 'write-failed',
    call: 'Write',
    code: error.code,
    message,
    updates: failed,
    cause: error,
  });
}

function updateErrors(
  details: readonly Message<'Error'>[],
  updates: readonly Init<'Update'>[],
  offset: number,
): UpdateError[] {
  return details.flatMap((e, i) =>
    e.canonicalCode === grpcStatus.OK
      ? []
      : [{ index: offset + i, code: e.canonicalCode, message: e.message, update: updates[i]! }],
  );
}

/** The failure of any other call; a Read may name each request in the same way. */
export function callFailure(call: string, error: ServiceError): P4RuntimeError {
  const details = detailsOf(error);
  if (call !== 'Read' || details === undefined) return rpcFailure(call, error.code, error.details, error);
  const updates = details.flatMap((e, index) =>
    e.canonicalCode === grpcStatus.OK ? [] : [{ index, code: e.canonicalCode, message: e.message }],
  );
  return new P4RuntimeError({
    kind: 'read-failed',
    call,
    code: error.code,
    message: error.details,
    updates,
    cause: error,
  });
}

/** The `p4.v1.Error`s of a failed call; undefined where there are none, or none that can be read. */
export function detailsOf(error: ServiceError): readonly Message<'Error'>[] | undefined {
  const bytes = (error.metadata ?? new Metadata()).get(DETAILS)[0];
  if (!(bytes instanceof Uint8Array)) return undefined;
  try {
    const { details } = statusCodec.decode(bytes);
    return details.length === 0 ? undefined : details.map((any) => errorCodec.decode(any.value));
  } catch {
    // A trailer of another shape says nothing that could be shown; the status itself remains.
    return undefined;
  }
}

/** The trailer that carries one error for each update. */
export function detailsMetadata(code: number, message: string, errors: readonly Init<'Error'>[]): Metadata {
  const details = errors.map((e) => ({ typeUrl: ERROR_TYPE, value: errorCodec.encode(e) }));
  const metadata = new Metadata();
  metadata.set(DETAILS, Buffer.from(statusCodec.encode({ code, message, details })));
  return metadata;
}
