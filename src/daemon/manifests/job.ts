import { createHash } from 'node:crypto';
import { z } from 'zod';
import { conditionSchema } from './conditions.ts';
import { listOf, reference, text } from './fields.ts';

const ID = 'expected a text of a number from 1 to 18446744073709551615';
const AT = 'expected a URL such as https://host:8443/a2a, or A.B.C.D:PORT';

/** Which of them a job calls itself; it is found by that as well. */
export const jobTypes = ['job', 'workflow', 'agent'] as const;
/** Default `job`. */
export type JobType = (typeof jobTypes)[number];

/** What asks services: a job, a workflow of several services in a row, or an agent; by its name, and in packets by its number. */
export const jobSpec = z
  .strictObject({
    type: z.enum(jobTypes, { error: `expected one of ${jobTypes.join(', ')}` }).default('job'),
    id: z
      .string({ error: ID })
      // What is no number goes no further: BigInt would throw.
      .regex(/^[1-9]\d{0,19}$/, { error: ID, abort: true })
      .refine((id) => BigInt(id) < 2n ** 64n, { error: ID })
      .optional()
      .describe('jobId in packets; default made of the name'),
    services: listOf(reference('Service', 'That it asks'), 64)
      .default([])
      .describe('Of a workflow in their order'),
    worker: reference('Worker', 'With which it is').optional(),
    address: z
      .string({ error: AT })
      .max(300, AT)
      .regex(/^([a-z][a-z0-9+.-]*:\/\/[\w.-]+(:\d{1,5})?(\/\S*)?|\d{1,3}(\.\d{1,3}){3}:\d{1,5})$/, AT)
      .optional()
      .describe('Where it is reached itself'),
    description: text('For people').max(500).optional(),
  })
  .describe('Who asks services');

/** What a controller says of a job, beside what its spec asks for. */
export const jobStatus = z.object({
  conditions: z.array(conditionSchema).default([]),
  worker: z.string().optional().describe('With which it is'),
  movedFrom: z.string().optional(),
});

/** The jobId of packets: the one that is given, or the first eight bytes of the SHA-256 of `NAME`, never 0. */
export function jobIdOf(name: string, id: string | undefined): bigint {
  if (id !== undefined) return BigInt(id);
  const made = createHash('sha256').update(name).digest().readBigUInt64BE(0);
  return made === 0n ? 1n : made;
}
