import { z } from 'zod';
import { measuresSchema } from '../../doors/measures.ts';
import { bodyOf, jsonOf, refuseRequest, reply } from '../api/http.ts';
import { parsed } from '../api/parsed.ts';
import { API_PREFIX, type Route } from '../api/routes.ts';
import type { Sight } from './sight.ts';

const MOST_BYTES = 2 ** 18;
const number = z.int().min(1).max(0xffff);

/** What an edge has measured since its last report that was taken. */
const edgeReport = z.strictObject({
  versions: z
    .array(z.strictObject({ modelId: number, version: number, measures: measuresSchema }))
    .max(256)
    .describe('Latencies are those from the first packet of a request to its answer'),
});
/** The body of an edge's report, as it is sent. */
export type EdgeReport = z.input<typeof edgeReport>;

/** The call by which edges report. */
export function reportRoutes(sight: Sight, isLeading: () => boolean): readonly Route[] {
  return [
    {
      method: 'POST',
      path: `${API_PREFIX}/measures`,
      right: 'register',
      summary: 'What an edge has measured since its last report: answers, failures and latencies by version',
      body: edgeReport,
      answers: async ({ request, response }) => {
        const body = jsonOf(await bodyOf(request, MOST_BYTES));
        const { versions } = parsed(edgeReport, body, 'body', 'Invalid');
        if (!isLeading())
          return refuseRequest('Unavailable', 'another controller leads', 'report to that one');
        for (const { modelId, version, measures } of versions) sight.edge(modelId, version, measures);
        reply(response, 200, { taken: versions.length });
      },
    },
  ];
}
