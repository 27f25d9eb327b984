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

export const invalid = (message: string): Fault => new Fault(status.INVALID_ARGUMENT, message);
export const notFound = (message: string): Fault => new Fault(status.NOT_FOUND, message);
export const exists = (message: string): Fault => new Fault(status.ALREADY_EXISTS, message);
export const denied = (message: string): Fault => new Fault(status.PERMISSION_DENIED, message);
export const exhausted = (message: string): Fault => new Fault(status.RESOURCE_EXHAUSTED, message);
export const outOfRange = (message: string): Fault => new Fault(status.OUT_OF_RANGE, message);
export const precondition = (message: string): Fault => new Fault(status.FAILED_PRECONDITION, message);
export const unsupported = (message: string): Fault => new Fault(status.UNIMPLEMENTED, message);

/** Trailers have a limit of a few kB, and a batch has an error for each update. */
const MOST_CHARACTERS = 120;

/** What a `p4.v1.Error` says of anything thrown: what is no `Fault` is the server's own. */
export function errorOf(thrown: unknown): Init<'Error'> {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const canonicalCode = thrown instanceof Fault ? thrown.code : status.INTERNAL;
  return { canonicalCode, message: message.slice(0, MOST_CHARACTERS), space: 'p4runtime-js' };
}
