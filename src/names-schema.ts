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
