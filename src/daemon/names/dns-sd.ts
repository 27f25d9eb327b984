import type { NamedAddress, Resolution } from './resolve.ts';

/**
 * Names as DNS-SD records (RFC 6763) in a zone file (RFC 1035): a PTR for each name and one for its type, and for each a TXT with model ids,
 * version and labels, and an SRV for each address. Priorities of SRV are CATS' recommendations, weights those of the workers.
 */

const SERVICE = '_intransit._udp';
const TTL = 30;

const priorities = { priority: 0, optional: 10, 'not recommended': 20 } as const;

/** Of a zone file. */
export interface ZoneOptions {
  /** Without a dot at its end. */
  readonly domain: string;
  /** Of the zone: another one for another content. */
  readonly serial: number;
}

/** Whether records can be written below it. */
export const isDomain = (text: string): boolean =>
  text.length <= 180 &&
  /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i.test(text);

/** Names as a zone file of DNS-SD (RFC 6763): a service instance for each address. */
export function zoneText(names: readonly Resolution[], { domain, serial }: ZoneOptions): string {
  const hosts = new Map<string, string>();
  const records = names.flatMap((name) => recordsOf(name, hosts));
  const types = [...new Set(names.map((n) => n.type))];
  return [
    `$ORIGIN ${domain}.`,
    `$TTL ${TTL}`,
    `@ SOA ns hostmaster ${serial} 3600 600 86400 ${TTL}`,
    '@ NS ns',
    'ns A 127.0.0.1',
    `_services._dns-sd._udp PTR ${SERVICE}`,
    ...types.flatMap((type) =>
      names.filter((n) => n.type === type).map((n) => `_${type}._sub.${SERVICE} PTR ${instanceOf(n)}`),
    ),
    ...records,
    ...[...hosts].map(([host, address]) => `${host} A ${address}`),
    '',
  ].join('\n');
}

/** A name may stand for several things: the type tells them apart. Dots in it are part of its one label. */
const instanceOf = ({ name, type }: Resolution): string =>
  `${type === 'service' ? label(name) : label(`${name.slice(0, 63 - type.length - 1)} ${type}`)}.${SERVICE}`;

const label = (text: string): string =>
  text.replace(/[.\\"();@$\s]/g, (c) => (c === ' ' ? '\\032' : `\\${c}`));

function recordsOf(name: Resolution, hosts: Map<string, string>): readonly string[] {
  const instance = instanceOf(name);
  const servers = name.addresses.flatMap((address) => serverOf(address, hosts));
  return [
    `${SERVICE} PTR ${instance}`,
    `${instance} TXT ${textsOf(name).map(quoted).join(' ')}`,
    ...servers.map((server) => `${instance} SRV ${server}`),
  ];
}

/** Packets' addresses, and URLs that name a host; sockets are nobody else's. */
function serverOf(
  { address, node, recommendation, weight, protocol }: NamedAddress,
  hosts: Map<string, string>,
) {
  if (protocol !== 'intransit+udp' && !address.includes('://')) return [];
  const { hostname, port } = new URL(
    address.includes('://') ? address.replace(/^[^:]+:/, 'http:') : `http://${address}`,
  );
  const priority = priorities[recommendation ?? 'optional'];
  const isAddress = /^\d+(\.\d+){3}$/.test(hostname);
  const host = isAddress ? hostOf(node, hostname) : `${hostname}.`;
  if (isAddress) hosts.set(host, hostname);
  return [
    `${priority} ${Math.min(65_535, Math.round(weight))} ${port || (address.startsWith('https') ? 443 : 80)} ${host}`,
  ];
}

const hostOf = (node: string | undefined, address: string): string =>
  node === undefined
    ? `host-${address.replace(/\./g, '-')}`
    : node
        .toLowerCase()
        .split('/')
        .reverse()
        .join('.')
        .replace(/[^a-z0-9.-]/g, '-');

function textsOf({ type, models, jobId, labels, ready, services }: Resolution): readonly string[] {
  return [
    'txtvers=1',
    `type=${type}`,
    `ready=${ready}`,
    ...models.map(
      ({ model, modelId, version }) =>
        `model=${model}/${modelId}${version === undefined ? '' : `/${version}`}`,
    ),
    ...(jobId === undefined ? [] : [`job=${jobId}`]),
    ...services.map((s) => `service=${s}`),
    ...Object.entries(labels).map(([name, value]) => `label-${name}=${value}`),
  ];
}

/** A character string has 255 bytes at most. */
const quoted = (text: string): string => {
  const bytes = Buffer.from(text).subarray(0, 255);
  const shown = [...bytes].map((b) =>
    b === 0x22 || b === 0x5c
      ? `\\${String.fromCharCode(b)}`
      : b >= 0x20 && b < 0x7f
        ? String.fromCharCode(b)
        : `\\${String(b).padStart(3, '0')}`,
  );
  return `"${shown.join('')}"`;
};
