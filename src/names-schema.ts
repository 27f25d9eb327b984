import { z } from 'zod';

/**
 * One of names that may become more while the program runs, such as those of the targets: each value is checked against those
 * that there are then.
 */
export const oneOf = (names: () => readonly string[]) => {
  const error = () => `expected one of ${names().join(', ')}`;
  return z
    .string({ error })
    .refine((name) => names().includes(name), { error })
    .meta({ enum: [...names()] });
};

/** `missing` of documents that name a model file. */
export const missing = z
  .literal('never', { error: 'expected never' })
  .optional()
  .describe('As --missing of other commands');

/** Fields that files of a format begin with, in one version of it. */
export const fileHead = <const Format extends string, const Version extends number>(
  format: Format,
  version: Version,
) => ({
  $schema: z.string().optional(),
  format: z.literal(format, { error: `expected '${format}'` }),
  version: z.literal(version, { error: `expected ${version}, the version this program reads` }),
});
