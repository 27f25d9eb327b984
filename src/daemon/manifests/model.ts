import { z } from 'zod';
import { parseRealRange } from '../../model/real-range.ts';
import { missing } from '../../names-schema.ts';
import { flag, integer, reference, text } from './fields.ts';

/** What all versions of a model have in common: its id in packets, and its shape. */
export const modelSpec = z.strictObject({
  id: integer(1, 0xffff, 'Model id in packets'),
  verdict: flag('Append a layer that makes class and margin of the outputs').default(false),
  classes: z.array(text('Name of a class'), { error: 'expected a list of names' }).max(65_536).optional(),
  description: text('For people').optional(),
});

const RANGE = 'expected LO..HI, two numbers, for example -4..4';
const range = z
  .string({ error: RANGE })
  .refine((value) => parseRealRange(value) !== undefined, { error: RANGE });

const DIGEST = 'expected sha256: and 64 hexadecimal digits';
const SOURCE = 'expected file or source, one of them';

/** Weights of a model. The client that applies it hands the file to the daemon, which keeps its bytes by their digest. */
export const modelVersionSpec = z
  .strictObject({
    model: reference('Model', 'Of which these are the weights'),
    version: integer(1, 0xffff, 'Version in packets'),
    file: text('ONNX, TFLite or JSON, relative to the manifest; apply puts `source` in its place').optional(),
    source: z
      .strictObject({
        name: text('Of the file: the extension says what it is'),
        digest: z.string({ error: DIGEST }).regex(/^sha256:[0-9a-f]{64}$/, DIGEST),
      })
      .optional()
      .describe('The file, as the daemon keeps it'),
    inputTensor: text('As --input-tensor of other commands: begin there').optional(),
    outputTensor: text('As --output-tensor of other commands: end there').optional(),
    inputRange: range.optional().describe('As --input-range of other commands'),
    outputRange: range.optional().describe('As --output-range of other commands'),
    missing,
    tfliteRounding: z.enum(['double', 'single'], { error: 'expected double or single' }).optional(),
  })
  .refine((s) => (s.file === undefined) !== (s.source === undefined), { error: SOURCE });
