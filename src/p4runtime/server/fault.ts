import { status } from '@grpc/grpc-js';
import type { Init } from '../proto/messages.ts';

/** A refusal with its canonical code; devices throw it too, to refuse an update. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** INVALID_ARGUMENT: what is asked for cannot be right, whatever the device holds. */
export const invalid = (message: string): Fault => new Fault(status.INVALID_ARGUMENT, message);
/** NOT_FOUND: what is to be modified, deleted or named is not there. */
export const notFound = (message: string): Fault => new Fault(status.NOT_FOUND, message);
/** ALREADY_EXISTS: an INSERT of what is there, or one thing given twice. */
export const exists = (message: string): Fault => new Fault(status.ALREADY_EXISTS, message);
/**
 * PERMISSION_DENIED: from one who is not the primary, of a role that does not reach so far, or of what the program holds
 * constant.
 */
export const denied = (message: string): Fault => new Fault(status.PERMISSION_DENIED, message);
/** RESOURCE_EXHAUSTED: a table, set or profile is full. */
export const exhausted = (message: string): Fault => new Fault(status.RESOURCE_EXHAUSTED, message);
/** OUT_OF_RANGE: an index beyond the size. */
export const outOfRange = (message: string): Fault => new Fault(status.OUT_OF_RANGE, message);
/** FAILED_PRECONDITION: not now, as before a pipeline is pushed. */
export const precondition = (message: string): Fault => new Fault(status.FAILED_PRECONDITION, message);
/** UNIMPLEMENTED: allowed by P4Runtime, but this device does not do it. */
export const unsupported = (message: string): Fault => new Fault(status.UNIMPLEMENTED, message);

/** Trailers have a limit of a few kB, and a batch has an error for each update. */
const MOST_CHARACTERS = 120;

/** What a `p4.v1.Error` says of anything thrown: what is no `Fault` is the server's own. */
export function errorOf(thrown: unknown): Init<'Error'> {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const canonicalCode = thrown instanceof Fault ? thrown.code : status.INTERNAL;
  return { canonicalCode, message: message.slice(0, MOST_CHARACTERS), space: 'p4runtime-js' };
}
