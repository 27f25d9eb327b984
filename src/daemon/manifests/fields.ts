import { z } from 'zod';

/** Fields that several kinds of manifests have, with what is expected of them in words. */

/** As names of DNS: they stand in paths, records and file names. */
export const NAME_PATTERN = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;

const NAME =
  'expected a name of 1 to 63 small letters, digits, - and ., beginning and ending with a letter or digit';

/** As DNS names are: it may stand in paths and in names of services. */
export const objectName = z.string({ error: NAME }).regex(NAME_PATTERN, NAME);

/** The name of another object; the table of kinds says of which kind. */
export const reference = (kind: string, what: string) =>
  z
    .string({ error: `expected the name of a ${kind}` })
    .regex(NAME_PATTERN, `expected the name of a ${kind}`)
    .describe(what);

/** Any text but an empty one. */
export const text = (what: string) =>
  z.string({ error: 'expected a text' }).min(1, 'expected a text of at least one character').describe(what);

/** Both ends included. */
export const integer = (lo: number, hi: number, what: string) => {
  const error = `expected a whole number in ${lo}..${hi}`;
  return z.int({ error }).min(lo, error).max(hi, error).describe(what);
};

/** Both ends included. */
export const number = (lo: number, hi: number, what: string) => {
  const error = `expected a number in ${lo}..${hi}`;
  return z.number({ error }).min(lo, error).max(hi, error).describe(what);
};

/** No text or number passes for it. */
export const flag = (what: string) => z.boolean({ error: 'expected true or false' }).describe(what);

/** May be empty. */
export const listOf = <T extends z.ZodType>(item: T, most: number) =>
  z.array(item, { error: 'expected a list' }).max(most, `expected at most ${most} items`);

const ADDRESS = 'expected HOST:PORT, [HOST]:PORT or unix:/PATH';

/** Where a device or worker is driven from, as seen by the controller. */
export const address = z
  .string({ error: ADDRESS })
  .max(300, ADDRESS)
  .regex(/^(?:unix:(?:\/\/)?\/\S+|(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):\d{1,5})$/, ADDRESS)
  .refine((value) => !(Number(/:(\d+)$/.exec(value)?.[1]) > 0xffff), {
    error: 'expected a port in 0..65535',
  });

/** A port of a device, and of BMv2: 9 bits, the last of which drops. */
export const devicePort = (what: string) => integer(0, 510, what);

const MAC = 'expected a MAC address such as 00:11:22:33:44:55';
/** Six pairs of hexadecimal digits with colons, in either case. */
export const mac = z.string({ error: MAC }).regex(/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/, MAC);

const FILE = "expected an absolute path, on the controller's machine";
const file = z.string({ error: FILE }).regex(/^\/[^\0]*$/, FILE);

/** How the controller speaks to a node that wants TLS. */
export const tls = z
  .strictObject({
    ca: file.optional().describe('PEM file: who signed the certificate of the other end'),
    cert: file.optional().describe('PEM file of ours, for ends that ask for one'),
    key: file.optional(),
    serverName: text('Name in the certificate of the other end, if not the one dialled').optional(),
  })
  .refine((t) => (t.cert === undefined) === (t.key === undefined), {
    error: 'expected cert and key, or neither',
  })
  .describe("Files of the controller's machine; without `tls` the connection is not encrypted");

/** A trust zone of packets. */
export const zones = listOf(integer(1, 255, 'A trust zone'), 255).default([]);

/** Time in milliseconds, up to a day. */
export const milliseconds = (what: string) => integer(0, 86_400_000, `${what}, ms`);
