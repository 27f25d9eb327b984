import { z } from 'zod';
import { type DiagnosticArgs, type DiagnosticCode, diagnostic } from '../../diagnostics/index.ts';

/** What is wrong with an object, and where. */
export const faultSchema = z.object({
  /** Of which document of those that were sent, from 0. */
  index: z.int().optional(),
  /** `Device/s1`, as far as it is known. */
  object: z.string().optional(),
  /** Within the document. */
  path: z.array(z.union([z.string(), z.number()])).default([]),
  code: z.string(),
  message: z.string(),
  remedy: z.string().optional(),
});

/** One thing that is wrong with a request, as a client is told of it. */
export type Fault = z.output<typeof faultSchema>;

interface FaultPlace {
  readonly index?: number | undefined;
  readonly object?: string | undefined;
  readonly path?: readonly PropertyKey[];
}

/** From the one table of messages, with the document and the field that it is about. */
export function fault<C extends DiagnosticCode>(
  code: C,
  args: DiagnosticArgs<C>,
  { index, object, path = [] }: FaultPlace = {},
): Fault {
  const { message, remedy } = diagnostic(code, args);
  return {
    ...(index !== undefined && { index }),
    ...(object !== undefined && { object }),
    path: path.map((key) => (typeof key === 'symbol' ? String(key) : key)),
    code,
    message,
    ...(remedy !== undefined && { remedy }),
  };
}

/** Why what was asked is refused: nothing of it was done. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly faults: readonly Fault[];
  /** For whom it is: the asker's mistake, a clash with what is, nothing of that name. */
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, faults: readonly Fault[]) {
    super(faults.map((f) => f.message).join('\n'));
    this.reason = reason;
    this.faults = faults;
  }
}

/** Each has one HTTP status. */
export type RefusalReason =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'MethodNotAllowed'
  | 'Conflict'
  | 'Gone'
  | 'TooLarge'
  | 'Invalid'
  | 'Unavailable';
