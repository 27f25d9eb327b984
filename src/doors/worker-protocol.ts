import { z } from 'zod';
import { parseRealRange, type RealRange } from '../model/real-range.ts';
import { measuresSchema, workerLoadSchema } from './measures.ts';

/**
 * The control door of a worker: HTTP with JSON documents, behind a socket or TLS as the agent's door is. Paths:
 *
 * - `GET /v1/models`: what it holds
 * - `PUT /v1/models/ID/versions/V?name=FILE...`: takes on the model file that is the body
 * - `PUT /v1/models/ID/current` with `{"version": V}` or `{"version": null}`: the flip
 * - `DELETE /v1/models/ID/versions/V`: lets it go when what was asked of it is answered
 * - `POST /v1/jobs/ID/release` with `{"to": "A.B.C.D:PORT"}`: gives a job away, with what waits of it; what still comes is sent on there
 * - `PUT /v1/jobs/ID` with what `release` answered: takes it on
 *
 * Whoever changes a model says by which election id, as at a device over P4Runtime (header `intransit-election-id`, 0 without it): a lower one
 * than was heard of before for this model is refused with 409. With `GET` it is a bid for all models.
 */
export const CONTROL_FORMAT = 'intransit-worker-models';

/** Who drives it: a number below 2^128, of decimal digits. */
export const ELECTION_HEADER = 'intransit-election-id';

const number = z.int().min(1).max(0xffff);

/** Answer of every call: what the worker holds then. */
export const heldSchema = z.object({
  format: z.literal(CONTROL_FORMAT),
  version: z.literal(1),
  /** Another one after each start of the worker. */
  instance: z.string(),
  load: workerLoadSchema.optional(),
  models: z.array(
    z.object({
      modelId: number,
      current: number.nullable(),
      versions: z.array(
        z.object({
          version: number,
          digest: z.string(),
          layerCount: z.int(),
          engines: z.array(z.string().nullable()),
          answered: z.int(),
          /** Absent of workers of earlier releases, as is `load`. */
          measures: measuresSchema.optional(),
        }),
      ),
    }),
  ),
});
/** What a worker holds, as its control door tells. */
export type HeldDocument = z.infer<typeof heldSchema>;

/** The version that becomes current; null for none. */
export const currentSchema = z.strictObject({ version: number.nullable() });

const DATA = /^\d{1,3}(\.\d{1,3}){3}:\d{1,5}$/;

/** Who goes on with a job: the UDP address of the worker. */
export const releaseSchema = z.strictObject({ to: z.string().regex(DATA, 'expected A.B.C.D:PORT') });

/** A job that goes from one worker to another: its state. */
export const handedJobSchema = z.strictObject({
  format: z.literal('intransit-job'),
  version: z.literal(1),
  jobId: z.string().regex(/^\d{1,20}$/),
  /** By which it goes on where its requests name none. */
  versions: z.array(z.strictObject({ modelId: number, version: number })).max(0xffff),
  /**
   * Where packets reach the worker that gave it away: it knows who asked, and hands answers on. Without it the rows come back to the
   * worker that had them.
   */
  from: z.string().regex(DATA, 'expected A.B.C.D:PORT').optional(),
  /** Requests that waited: header (base64, without activations) and tensor (base64). */
  rows: z.array(z.strictObject({ header: z.base64(), tensor: z.base64() })).max(20_000),
});
/** Rows that a worker hands on to another, as the body of the call has them. */
export type HandedJob = z.infer<typeof handedJobSchema>;

/** Bytes of such a document at most. */
export const MOST_JOB_BYTES = 128 * 2 ** 20;

/** Rows of a job that were taken over, and that were not. */
export const acceptedSchema = z.object({ accepted: z.int(), refused: z.int() });

const range = z.string().transform((text, context): RealRange => {
  const parsed = parseRealRange(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: 'expected LO..HI' });
  return z.NEVER;
});

/** Which part of a model file is meant, and how it rounds. */
export const importOptionsSchema = z.strictObject({
  inputTensor: z.string().optional(),
  outputTensor: z.string().optional(),
  inputRange: range.optional(),
  outputRange: range.optional(),
  missing: z.literal('never').optional(),
  tfliteRounding: z.enum(['double', 'single']).optional(),
});

/** How the body of a version is read, in the query. */
export const versionQuerySchema = z.strictObject({
  /** Name of the model file, for messages and by its extension for the format. */
  name: z.string().min(1).max(200),
  verdict: z.enum(['0', '1']).default('0'),
  ...importOptionsSchema.shape,
});

/** What a call that fails answers. */
export const faultSchema = z.object({ error: z.string(), remedy: z.string().optional() });

/** Model files that are taken at most. */
export const MOST_MODEL_BYTES = 512 * 2 ** 20;
