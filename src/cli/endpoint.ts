import { DEFAULT_PORT } from '../wire/header.ts';
import { inRange } from './options.ts';
import { UsageError } from './usage.ts';

/** `HOST[:PORT]`; the host may be left out if there is one to stand in. @throws UsageError */
export function parseEndpoint(
  option: string,
  text: string,
  host = '',
): { readonly host: string; readonly port: number } {
  const match = /^([A-Za-z0-9_.-]*)(?::(\d+))?$/.exec(text);
  const named = match?.[1] || host;
  if (match === null || named === '')
    throw new UsageError(`--${option} ${text}: must be HOST or HOST:PORT, by name or IPv4 address`);
  const port = match[2] === undefined ? DEFAULT_PORT : Number(match[2]);
  return { host: named, port: inRange(`${option}: port`, port, host === '' ? 1 : 0, 0xffff) };
}
