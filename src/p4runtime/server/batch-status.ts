import { type Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { Init } from '../proto/messages.ts';
import { detailsMetadata } from '../rpc-errors.ts';
import { Fault } from './fault.ts';

/**
 * Bytes of details that clients take: from about 61 kB of trailer on grpc-js never answers, and base64 adds a third.
 */
const MAX_DETAILS_BYTES = 40_000;
/** Of one error: its type's name and tags. */
const OVERHEAD = 48;

const SUMMARY = 'see the details of each';

/** A call that failed in some of its parts, with an error for each (section "Error Reporting"). */
export class PartialFailure extends Error {
  readonly metadata: Metadata | undefined;
  readonly code: number;

  constructor(errors: readonly Init<'Error'>[]) {
    const room = Math.floor(MAX_DETAILS_BYTES / errors.length) - OVERHEAD;
    super(
      room < 0 ? `the errors of ${errors.length} updates do not fit an answer: write fewer at once` : SUMMARY,
    );
    this.code = room < 0 ? status.RESOURCE_EXHAUSTED : status.UNKNOWN;
    const short = errors.map((e) => ({
      ...e,
      message: (e.message ?? '').slice(0, Math.max(0, room)),
      space: '',
    }));
    this.metadata = room < 0 ? undefined : detailsMetadata(this.code, SUMMARY, short);
  }
}

/** What is thrown is a Fault, a PartialFailure, or a bug, which ends as INTERNAL. */
export function statusOf(error: unknown): Partial<StatusObject> {
  if (error instanceof Fault) return { code: error.code, details: error.message };
  if (error instanceof PartialFailure)
    return { code: error.code, details: error.message, ...(error.metadata && { metadata: error.metadata }) };
  return { code: status.INTERNAL, details: error instanceof Error ? error.message : String(error) };
}
