import type { IncomingMessage, ServerResponse } from 'node:http';
import { DiagnosticError } from '../../diagnostics/index.ts';
import { isDeeperThan } from '../../import/json/bounds.ts';
import { type Fault, fault, type RefusalReason, Refused } from '../manifests/index.ts';
import { StoreConflict, StoreFenced, StoreUnavailable } from '../store/index.ts';

/** The body of every answer that is no success; the words are those of the field (Kubernetes' Status). */
export interface StatusDocument {
  readonly kind: 'Status';
  readonly status: 'Failure';
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly details: readonly Fault[];
}

const codes: Readonly<Record<RefusalReason, number>> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  Conflict: 409,
  Gone: 410,
  TooLarge: 413,
  Invalid: 422,
  Unavailable: 503,
};

/** @throws Refused with one fault */
export const refuseRequest = (reason: RefusalReason, what: string, remedy: string): never => {
  throw new Refused(reason, [fault('controller', { reason: what, remedy })]);
};

/** Bytes of all bodies that are being received. */
const MOST_RECEIVED_BYTES = 2 ** 30;
let received = 0;

/** @throws Refused `TooLarge`, `Unavailable` where others send too much at the time */
export async function bodyOf(request: IncomingMessage, most: number): Promise<Buffer> {
  const tooLarge = () =>
    refuseRequest('TooLarge', `the body has more than ${most} bytes`, 'send it in several parts');
  if (Number(request.headers['content-length'] ?? 0) > most) tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      received += chunk.length;
      if (length > most) tooLarge();
      if (received > MOST_RECEIVED_BYTES)
        refuseRequest('Unavailable', 'too much is being sent at once', 'try it again in a moment');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    received -= length;
  }
}

/** Lists and objects within each other; manifests have eight. */
const MOST_DEPTH = 64;

/** @throws Refused `BadRequest` */
export function jsonOf(bytes: Buffer): unknown {
  const text = bytes.toString('utf8');
  if (isDeeperThan(text, MOST_DEPTH))
    refuseRequest('BadRequest', `the body is nested deeper than ${MOST_DEPTH} levels`, 'send manifests');
  try {
    return JSON.parse(text);
  } catch {
    return refuseRequest('BadRequest', 'the body is no JSON', 'send one document of JSON');
  }
}

/** Answers with a JSON document. */
export function reply(response: ServerResponse, code: number, document: unknown): void {
  const body = JSON.stringify(document);
  response.writeHead(code, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

/** Answers with why a call failed; where an answer had begun, the connection ends. */
export function replyFault(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { reason, details } = describe(error);
  const code = codes[reason];
  const message = details.map((d) => d.message).join('; ');
  // What was not read of a body that is refused would be taken for the next request.
  response.setHeader('connection', 'close');
  if (reason === 'Unauthorized') response.setHeader('www-authenticate', 'Bearer realm="intransit"');
  const document: StatusDocument = { kind: 'Status', status: 'Failure', code, reason, message, details };
  reply(response, code, document);
}

function describe(error: unknown): { readonly reason: RefusalReason; readonly details: readonly Fault[] } {
  if (error instanceof Refused) return { reason: error.reason, details: error.faults };
  if (error instanceof StoreConflict)
    return conflict('others changed what is referred to again and again', 'try it once more');
  if (error instanceof StoreFenced) return conflict(error.message, 'ask the controller that leads now');
  if (error instanceof StoreUnavailable)
    return {
      reason: 'Unavailable',
      details: [
        fault('controller', {
          reason: `the store cannot be used: ${error.message}`,
          remedy: 'see to the store; nothing was changed, and the network goes on as it is',
        }),
      ],
    };
  if (error instanceof DiagnosticError)
    return {
      reason: 'Invalid',
      details: error.diagnostics.map(({ code, message, remedy }) => ({
        path: [],
        code,
        message,
        ...(remedy !== undefined && { remedy }),
      })),
    };
  const reason = error instanceof Error ? error.message : String(error);
  return {
    reason: 'Unavailable',
    details: [fault('controller', { reason: `internal error: ${reason}`, remedy: 'please report it' })],
  };
}

const conflict = (reason: string, remedy: string) => ({
  reason: 'Conflict' as const,
  details: [fault('controller', { reason, remedy })],
});
