import { z } from 'zod';
import { objectName, text } from './fields.ts';

/** First field of every manifest. */
export const API_VERSION = 'intransit.dev/v1alpha1';

const LABEL = 'expected a label of at most 63 letters, digits, -, _, . and /';
const label = z
  .string({ error: LABEL })
  .max(200, LABEL)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$/, LABEL);
const labelValue = z
  .string({ error: 'expected a text (in YAML, quote what looks like a number)' })
  .max(63, 'expected at most 63 characters');

/** What every object is known by. All but name and labels is the daemon's to write. */
export const metadataSchema = z
  .strictObject({
    name: objectName.describe('Unique within the kind'),
    labels: z.record(label, labelValue, { error: 'expected names and texts' }).optional(),
    annotations: z.record(label, z.string(), { error: 'expected names and texts' }).optional(),
    resourceVersion: z
      .string({ error: 'expected a text of digits, as get prints it' })
      .regex(/^\d{1,19}$/, 'expected a text of digits, as get prints it')
      .optional()
      .describe('Given: what is applied replaces this version and no other'),
    generation: z
      .int()
      .min(1)
      .optional()
      .describe('One more with each change of the spec; set by the daemon'),
    uid: text('Another one for each object that bears the name; set by the daemon').optional(),
    creationTimestamp: z.string().optional().describe('Set by the daemon'),
  })
  .describe('What the object is known by');

/** As a manifest may have it: what the daemon writes may be absent. */
export type Metadata = z.output<typeof metadataSchema>;

/** Of an object that the store holds. */
export interface StoredMetadata extends Metadata {
  readonly resourceVersion: string;
  readonly generation: number;
  readonly uid: string;
  readonly creationTimestamp: string;
}
