import { z } from 'zod';
import { capacity } from './device.ts';
import { address, integer, mac, text, tls, zones } from './fields.ts';

const DATA = 'expected the IPv4 address and UDP port of its packets, A.B.C.D:PORT';

/** A host at the end of a path that finishes what devices left. */
export const workerSpec = z.strictObject({
  control: address.describe('Of its control door (worker --control)'),
  tls: tls.optional(),
  address: z
    .string({ error: DATA })
    .regex(/^\d{1,3}(\.\d{1,3}){3}:\d{1,5}$/, DATA)
    .optional()
    .describe('Where packets reach it; devices steer by links and need it not'),
  mac: mac.optional(),
  zone: text('Trust zone of the planner').default('default'),
  zones: zones.describe('Trust zones of packets for which it computes besides 0, any'),
  capacity: capacity.optional(),
  weight: integer(1, 1000, 'Share of jobs beside equal workers').default(1),
});
