import type { Argv } from 'yargs';
import type { DoorListen } from '../doors/rules.ts';
import { readBytes } from '../files.ts';
import type { PeerRule } from '../p4runtime/index.ts';
import { type ArgumentsOf, textOption } from './options.ts';
import { UsageError } from './usage.ts';

/** Options of a door by which something is driven: who may come in, and by what certificates. */
export const doorOptions = <T>(y: Argv<T>, what: string) =>
  y
    .option('group', textOption('Of a socket: this group may use it too, not its user alone'))
    .option('insecure', {
      type: 'boolean',
      default: false,
      describe: `Listen where anybody may drive this ${what}: TCP without TLS, or without --allow`,
    })
    .option('tls-cert', textOption("Server's certificate, PEM"))
    .option('tls-key', textOption('Its key, PEM'))
    .option('tls-ca', textOption('Clients must show a certificate of this authority, PEM'))
    .option('allow', {
      type: 'string',
      array: true,
      describe:
        'Name (DNS, CN or spiffe://...) in the certificate of a client that may come in; once for each',
      requiresArg: true,
    });

/** Of whatever has such a door. */
export type DoorArguments = ArgumentsOf<(y: Argv) => ReturnType<typeof doorOptions>>;

/** @throws UsageError, DiagnosticError where a file cannot be read */
export function doorOf(a: DoorArguments, address: string): DoorListen {
  const tls = tlsOf(a);
  return {
    address,
    insecure: a.insecure,
    ...(tls && { tls }),
    ...(a.allow && { allow: a.allow.map(ruleOf) }),
    ...(a.group !== undefined && { group: a.group }),
  };
}

/** `NAME`, or `NAME=ROLE,ROLE`; `NAME=` is the default role alone. */
function ruleOf(text: string): PeerRule {
  const [, name, roles] = /^([^=\s]+)(?:=(\S*))?$/.exec(text) ?? [];
  if (name === undefined) throw new UsageError(`--allow ${text}: must be NAME or NAME=ROLE,ROLE`);
  return { name, ...(roles !== undefined && { roles: roles.split(',') }) };
}

function tlsOf(a: DoorArguments) {
  if (a.tlsCert === undefined && a.tlsKey === undefined && a.tlsCa === undefined) return undefined;
  if (a.tlsCert === undefined || a.tlsKey === undefined)
    throw new UsageError('TLS needs both --tls-cert and --tls-key');
  return {
    cert: readBytes(a.tlsCert, 'pem'),
    key: readBytes(a.tlsKey, 'pem'),
    ...(a.tlsCa !== undefined && { ca: readBytes(a.tlsCa, 'pem') }),
  };
}
