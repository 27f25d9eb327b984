import { z } from 'zod';
import { conditionSchema } from './conditions.ts';
import { devicePort, flag, integer, mac, number, reference } from './fields.ts';

const end = z.strictObject({
  node: reference('Device or Worker', 'At this end'),
  port: devicePort('Of a device').optional(),
  mac: mac.optional().describe('Written into packets that go over this link'),
});

/** A cable or path between two nodes, as the planner counts it. */
export const linkSpec = z.strictObject({
  from: end,
  to: end,
  oneWay: flag('Only from `from` to `to`; else both ways').default(false),
  latencyUs: number(0, 1e9, 'Propagation and queueing, microseconds').default(0),
  bandwidthMbps: number(1e-3, 1e9, 'Megabits a second').default(1000),
  mtu: integer(68, 0xffff, 'Largest IP packet, bytes').default(1500),
});

/** Status of what is only watched, not driven. */
export const plainStatus = z.object({ conditions: z.array(conditionSchema).default([]) });
