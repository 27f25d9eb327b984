import type { z } from 'zod';
import { expectation } from '../../import/json/parse.ts';
import type { RefusalReason } from '../manifests/index.ts';
import { refuseRequest } from './http.ts';
import { API_PREFIX } from './routes.ts';

/** What of a request a schema takes. @param where in it. @throws Refused with the place of the first fault */
export function parsed<T>(
  schema: z.ZodType<T>,
  value: unknown,
  where: 'query' | 'body',
  reason: RefusalReason = 'BadRequest',
): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue!.path.join('.');
  return refuseRequest(
    reason,
    `${where}${path === '' ? '' : ` ${path}`}: ${expectation(issue!)}`,
    `GET ${API_PREFIX}/openapi.json tells what calls take`,
  );
}
