import { status } from '@grpc/grpc-js';
import { type Batch, planBatches } from './batches.ts';
import { P4RuntimeError, type UpdateError } from './errors.ts';
import type { Init } from './proto/messages.ts';
import type { Session } from './session.ts';

type Update = Init<'Update'>;

/**
 * Updates a Write: a failed one answers with one error an update in a trailer, and grpc-js hangs on trailers above 61 kB;
 * servers limit metadata too (section "Batching and Ordering of Updates").
 */
export const MAX_BATCH = 250;

/** Writes on their way at once: hides the round trip without queueing up in the device. */
const WINDOW = 4;

/** What any call takes. */
export interface CallOptions {
  /** In ms, of each call; default that of the client. */
  readonly timeoutMs?: number;
}

/** How a list of updates is divided into Writes, and what becomes of the rest when one fails. */
export interface WriteOptions extends CallOptions {
  /** Updates a Write, 1..250; default 250. */
  readonly batch?: number;
  /** Writes on their way at once; default 4. */
  readonly window?: number;
  /**
   * Behind the first Write that fails: `continue` with the rest (default; every update is tried, as within a Write),
   * `stop`, or `rollback` what was done.
   */
  readonly onError?: 'continue' | 'stop' | 'rollback';
  /**
   * What the device does with the rest of a Write of which an update fails; default `CONTINUE_ON_ERROR`, the only one that every
   * device has. It holds for each Write, not for the batches of a longer list together: `onError` does.
   */
  readonly atomicity?: Atomicity;
  /** Codes of gRPC that are no failure of an update, such as NOT_FOUND (5) of a deletion. */
  readonly ignore?: readonly number[];
}

type Atomicity = Exclude<Init<'WriteRequest'>['atomicity'], number | undefined>;

/** What became of each update. */
export interface WriteOutcome {
  /** How many updates there were. */
  readonly total: number;
  readonly errors: readonly UpdateError[];
  /** Indices of updates that were never sent. */
  readonly unsent: readonly number[];
  /** The fault of a whole call, if there was one; its updates are among `errors` with that code. */
  readonly fault?: P4RuntimeError;
}

/**
 * Sends all updates and gathers what became of them; throws nothing that the device or the network causes, and what a generator
 * of updates throws only when all that is on its way is answered.
 */
export async function writeAll(
  session: Session,
  updates: Iterable<Update>,
  options: WriteOptions,
): Promise<WriteOutcome> {
  const size = Math.min(MAX_BATCH, Math.max(1, options.batch ?? MAX_BATCH));
  const errors: UpdateError[] = [];
  const unsent: number[] = [];
  let fault: P4RuntimeError | undefined;
  let stopped = false;
  let total = 0;
  const one = async (batch: Batch): Promise<void> => {
    total += batch.updates.length;
    if (stopped) {
      unsent.push(...batch.updates.map((_, i) => batch.offset + i));
      return;
    }
    const error = await writeBatch(session, batch, options);
    if (error === undefined) return;
    const failed = errorsOf(error, batch).filter((e) => options.ignore?.includes(e.code) !== true);
    if (failed.length === 0) return;
    for (const e of failed) errors.push(e);
    if (error.updates.length === 0) fault ??= error;
    // A fault of the whole call would meet every other one too.
    stopped ||= error.updates.length === 0 || (options.onError ?? 'continue') !== 'continue';
  };
  await inWindow(planBatches(updates, size), options.window ?? WINDOW, one);
  errors.sort((a, b) => a.index - b.index);
  return { total, errors, unsent, ...(fault !== undefined && { fault }) };
}

/** Sends batches as they come, at most `width` at a time, and none before what it has to wait for. */
async function inWindow(
  batches: Iterable<Batch>,
  width: number,
  send: (batch: Batch) => Promise<void>,
): Promise<void> {
  const sending = new Set<Promise<void>>();
  try {
    for (const batch of batches) {
      if (batch.afterAll) await Promise.all(sending);
      else if (sending.size >= Math.max(1, width)) await Promise.race(sending);
      const sent = send(batch).finally(() => sending.delete(sent));
      sending.add(sent);
    }
  } finally {
    await Promise.all(sending);
  }
}

async function writeBatch(
  session: Session,
  batch: Batch,
  { timeoutMs = session.timeoutMs, atomicity }: WriteOptions,
): Promise<P4RuntimeError | undefined> {
  try {
    const { updates } = batch;
    const request = { ...session.identity, updates, ...(atomicity !== undefined && { atomicity }) };
    await session.rpc().write(request, timeoutMs);
    return undefined;
  } catch (error) {
    if (!(error instanceof P4RuntimeError)) throw error;
    // The stream of an over-long trailer dies without a word, and the next call on it would hang too.
    if (error.code === status.DEADLINE_EXCEEDED) session.redial(error);
    return error;
  }
}

const errorsOf = (error: P4RuntimeError, { offset, updates }: Batch): readonly UpdateError[] =>
  error.updates.length > 0
    ? error.updates.map((e) => ({ ...e, index: e.index + offset }))
    : updates.map((update, i) => ({ index: offset + i, code: error.code, message: error.message, update }));

/** The error for an outcome that is not wholly good. */
export function outcomeError(outcome: WriteOutcome, remark = ''): P4RuntimeError | undefined {
  const { total, errors, unsent, fault } = outcome;
  if (errors.length === 0 && unsent.length === 0) return undefined;
  const rest = unsent.length === 0 ? '' : `, ${unsent.length} were not sent`;
  return new P4RuntimeError({
    kind: fault?.kind ?? 'write-failed',
    call: 'Write',
    code: fault?.code ?? status.UNKNOWN,
    message: `${errors.length} of ${total} updates failed${rest}${remark}${fault === undefined ? '' : `: ${fault.message}`}`,
    updates: errors,
    cause: fault,
  });
}
