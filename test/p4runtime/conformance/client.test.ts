import { describe, test } from 'vitest';
import { cases } from './cases.ts';

describe('conformance: our client', () => {
  for (const { id, title, client } of cases)
    if (client !== undefined) test(`${id}. ${title}`, async () => client());
});
