import { z } from 'zod';
import { documentHead } from './document-head.ts';

/**
 * The one definition of a feature file: `features` and `classify` read with it, `schema/features.schema.json` is
 * generated from it. docs/features.md explains it with examples.
 */

const name = z
  .string({ error: 'expected a name' })
  .regex(/^[a-z_][A-Za-z0-9_]*$/, 'expected a name of letters, digits and _, beginning with a small letter');
const expression = z
  .union([z.string(), z.int(), z.literal(true)], {
    error: 'expected an expression, for example ip.length >= 1000',
  })
  .transform(String);
const bits = z
  .int({ error: 'expected a whole number in 1..48' })
  .min(1, 'expected at least 1')
  .max(48, 'expected at most 48')
  .optional()
  .describe(
    'Width; the value stops at its largest. Default: 32 for counts and sums, else what the value needs',
  );
const when = expression.optional().describe('Only packets for which this is not 0');

const stateVariable = z.union(
  [
    z.strictObject({
      count: expression.describe('1 or true: every packet; else those for which it is not 0'),
      bits,
    }),
    z.strictObject({ sum: expression, when, bits }),
    z.strictObject({ min: expression, when }),
    z.strictObject({ max: expression, when }),
    z.strictObject({ first: expression }),
    z.strictObject({ last: expression, when }),
    z.strictObject({ or: expression, when }),
    z.strictObject({
      ewma: expression,
      shift: z.int().min(1).max(8).describe('Weight of a new value: 1 / 2^shift'),
      when,
    }),
    z.strictObject({
      histogram: expression,
      thresholds: z
        .array(z.int().min(1))
        .min(1)
        .max(31)
        .describe('Ascending: one counter below the first, one from each on'),
      when,
      bits,
    }),
    z.strictObject({
      sequence: expression.describe('The values of the first packets'),
      length: z.int().min(1).max(32),
      when,
    }),
    z.strictObject({
      payload: z.int().min(1).max(32).describe('The first bytes of the first packet that has any'),
    }),
  ],
  {
    error:
      'expected one of count, sum, min, max, first, last, or, ewma, histogram, sequence, payload, with its own fields',
  },
);

const keyField = z.enum(
  ['ip.source', 'ip.destination', 'port.source', 'port.destination', 'ip.protocol', 'ip.dscp', 'vlan.id'],
  {
    error:
      'expected ip.source, ip.destination, port.source, port.destination, ip.protocol, ip.dscp or vlan.id',
  },
);

const duration = z
  .string({ error: 'expected a time with its unit, for example 60s' })
  .regex(/^\d{1,9}(us|ms|s|min|h)$/, 'expected a whole number with us, ms, s, min or h, for example 60s');

const packetNumbers = z.array(z.int().min(1, 'packets count from 1').max(65_535)).min(1).max(64);

/** A feature file (docs/features.md). */
export const featuresSchema = z
  .strictObject({
    ...documentHead('Features'),
    spec: z.strictObject({
      clock: z
        .enum(['ns', 'us'], { error: 'expected ns or us: the clocks that devices have' })
        .default('us')
        .describe('Arrivals are cut to this unit first, then subtracted; BMv2 has microseconds'),
      accept: z
        .strictObject({
          ip: z
            .array(z.literal([4, 6]))
            .min(1)
            .default([4, 6]),
          protocols: z
            .array(z.enum(['tcp', 'udp', 'icmp']))
            .min(1)
            .default(['tcp', 'udp']),
        })
        .prefault({})
        .describe('Other packets are foreign: they pass on and are counted'),
      key: z
        .union(
          [
            z.enum(['five-tuple', 'five-tuple-one-way', 'host', 'host-pair']),
            z.strictObject({ fields: z.array(keyField).min(1).max(7), bothWays: z.boolean().default(false) }),
          ],
          {
            error:
              'expected five-tuple, five-tuple-one-way, host, host-pair, or { fields: [...], bothWays: true }',
          },
        )
        .default('five-tuple'),
      timeouts: z
        .strictObject({
          idle: duration.optional().describe('A flow without a packet for longer than this is a new one'),
          active: duration.optional().describe('A flow is a new one this long after its first packet'),
          tcpClose: z
            .boolean()
            .default(true)
            .describe('With classify: end, FIN from both ends or one RST ends a flow; what follows is late'),
        })
        .prefault({}),
      table: z
        .strictObject({
          flows: z
            .int()
            .min(64)
            .max(2 ** 22)
            .refine((n) => Number.isInteger(Math.log2(n)), 'expected a power of two')
            .default(131_072)
            .describe('Flows that a device keeps'),
          keep: duration
            .default('30s')
            .describe(
              'Where there is no place, a flow whose last packet is longer ago makes room for a new one',
            ),
        })
        .prefault({}),
      state: z.record(name, stateVariable).default({}),
      tables: z
        .record(name, z.array(z.int().min(0).max(65_535)).min(2).max(256))
        .default({})
        .describe('Functions by look-up: name(x)'),
      bins: z
        .record(name, z.array(z.int().min(1)).min(1).max(255))
        .default({})
        .describe('Functions by thresholds: name(x) is how many of them are at most x'),
      features: z
        .record(name, expression)
        .describe("The model's inputs in order, each an expression in 0..255"),
      classes: z
        .array(z.string().min(1).max(100))
        .min(2)
        .max(256)
        .optional()
        .describe("Names of the classes in the order of a model's numbers, where the model has none"),
      classify: z
        .union(
          [
            z.enum(['every-packet', 'powers-of-two', 'end']),
            z.strictObject({ packets: packetNumbers.describe('Numbers of packets of a flow, from 1') }),
          ],
          { error: 'expected every-packet, powers-of-two, end, or { packets: [2, 4, 8] }' },
        )
        .default('every-packet'),
    }),
  })
  .describe('Features of flows: docs/features.md');

/** The same once read: with its defaults. */
export type FeaturesFile = z.output<typeof featuresSchema>;
/** What a flow keeps under one name, as the file has it: a scalar, or several of a histogram, a sequence or a payload. */
export type StateVariable = z.output<typeof stateVariable>;
/** Part of a packet that tells flows apart. */
export type KeyField = z.output<typeof keyField>;
