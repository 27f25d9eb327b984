import { createHash } from 'node:crypto';

/** The name of a file by its bytes. */
export const digestOf = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
