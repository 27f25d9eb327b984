import { createHash } from 'node:crypto';
import type { Model } from '../../model/model.ts';
import { exportJson } from './export.ts';

/** Names take no part in what a model computes, nor in its digest: two files of one training are one model. */
export const canonicalText = ({ file, input, layers }: Model): string =>
  JSON.stringify(exportJson({ name: 'model', file, input, layers }));

const digests = new WeakMap<Model, string>();

/** SHA-256 of all that decides what a model computes. */
export function modelDigest(model: Model): string {
  const known = digests.get(model);
  if (known !== undefined) return known;
  const digest = createHash('sha256').update(canonicalText(model)).digest('hex');
  digests.set(model, digest);
  return digest;
}
