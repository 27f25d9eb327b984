import { isIPv4, isIPv6 } from 'node:net';
import { basename } from 'node:path';
import { CsvError, parse } from 'csv-parse/sync';
import { refuse } from '../diagnostics/index.ts';
import type { FlowEnds } from './executor.ts';

/** Known classes of flows. */
export interface Labels {
  /** Names of the classes: a class's number is its place. */
  readonly classes: readonly string[];
  /** Flows that have a label. */
  readonly flows: number;
  /** The class of a flow of a capture, whoever began it. Marks the label as used. */
  classOf(capture: string, flow: FlowEnds): number | undefined;
  /** Lines of labels that no flow has asked for. */
  unusedLines(): readonly number[];
}

interface Label {
  readonly class: number;
  readonly line: number;
  used: boolean;
}

const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 };
const COLUMNS = ['client_ip', 'client_port', 'server_ip', 'server_port', 'transport', 'class'] as const;
type Column = (typeof COLUMNS)[number];
/** What other tools call the columns. */
const ALIASES: Readonly<Record<string, Column | undefined>> = {
  src_ip: 'client_ip',
  source_ip: 'client_ip',
  src_port: 'client_port',
  source_port: 'client_port',
  dst_ip: 'server_ip',
  destination_ip: 'server_ip',
  dst_port: 'server_port',
  destination_port: 'server_port',
  protocol: 'transport',
  proto: 'transport',
  label: 'class',
};

/**
 * Labels of a CSV with a header: client_ip, client_port, server_ip, server_port, transport (tcp, udp or a number) and
 * class; with a column pcap, for that capture only. Which end is called client does not matter.
 *
 * @param order names of the classes in the order of their numbers
 * @param usual the same if `order` is absent and all labels are among them; else the order is alphabetical
 * @throws DiagnosticError `labels-malformed` with the line
 */
export function parseLabels(
  text: string,
  file: string,
  order?: readonly string[],
  usual?: readonly string[],
): Labels {
  const bad = (what: string): never => refuse('labels-malformed', { what }, { file });
  const [header, ...rows] = cellsOf(text, bad);
  if (header === undefined) return bad('is empty');
  const column = columnsOf(header, bad);
  if (rows.length === 0) return bad('has no rows after its header');
  const named = rows.map((row) => (row[column.class] ?? '').trim());
  const classes =
    order ?? (usual && named.every((n) => usual.includes(n)) ? usual : [...new Set(named)].sort());
  const labels = new Map<string, Label>();
  rows.forEach((row, i) => {
    const line = i + 2;
    const badLine = (what: string): never => bad(`line ${line}: ${what}`);
    const name = named[i]!;
    const number = classes.indexOf(name);
    if (name === '') badLine('has no class');
    if (number < 0) badLine(`class ${name} is none of ${classes.join(', ')}`);
    const cell = (name: Column) => (row[column[name]] ?? '').trim();
    const key = keyOf(row[column.pcap ?? -1] ?? '', transportOf(cell('transport'), badLine), [
      endOf(cell('client_ip'), cell('client_port'), badLine),
      endOf(cell('server_ip'), cell('server_port'), badLine),
    ]);
    const known = labels.get(key);
    if (known !== undefined && known.class !== number)
      badLine(`the flow is ${name} here and ${classes[known.class]} in line ${known.line}`);
    labels.set(key, { class: number, line, used: false });
  });
  return {
    classes,
    flows: labels.size,
    classOf(capture, flow) {
      const ends = [`${textOf(flow.client)} ${flow.clientPort}`, `${textOf(flow.server)} ${flow.serverPort}`];
      const found = labels.get(keyOf(column.pcap === undefined ? '' : capture, flow.protocol, ends));
      if (found !== undefined) found.used = true;
      return found?.class;
    },
    unusedLines: () => [...labels.values()].filter((l) => !l.used).map((l) => l.line),
  };
}

function cellsOf(text: string, bad: (what: string) => never): readonly (readonly string[])[] {
  try {
    return parse(text, { bom: true, skip_empty_lines: true, relax_column_count: true });
  } catch (error) {
    if (error instanceof CsvError) return bad(error.message);
    throw error;
  }
}

function columnsOf(header: readonly string[], bad: (what: string) => never) {
  const names = header.map((cell) => {
    const name = cell.trim().toLowerCase();
    return ALIASES[name] ?? name;
  });
  const missing = COLUMNS.filter((name) => !names.includes(name));
  if (missing.length > 0) bad(`has no column ${missing.join(', ')}; its header is ${header.join(', ')}`);
  const at = (name: Column) => names.indexOf(name);
  const pcap = names.indexOf('pcap');
  return {
    client_ip: at('client_ip'),
    client_port: at('client_port'),
    server_ip: at('server_ip'),
    server_port: at('server_port'),
    transport: at('transport'),
    class: at('class'),
    ...(pcap >= 0 && { pcap }),
  } as const;
}

const keyOf = (capture: string, protocol: number, ends: readonly string[]): string =>
  [basename(capture), protocol, ...[...ends].sort()].join(' ');

function transportOf(text: string, bad: (what: string) => never): number {
  const known = PROTOCOLS[text.toLowerCase()];
  if (known !== undefined) return known;
  return /^\d{1,3}$/.test(text) && Number(text) < 256
    ? Number(text)
    : bad(`'${text}' is no transport; expected tcp, udp, icmp or a number`);
}

function endOf(address: string, port: string, bad: (what: string) => never): string {
  if (!isIPv4(address) && !isIPv6(address)) bad(`'${address}' is no address`);
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) bad(`'${port}' is no port`);
  return `${isIPv4(address) ? address : shortest(address)} ${Number(port)}`;
}

/** Address bytes as text, IPv6 in its shortest form. */
export function textOf(address: Uint8Array): string {
  if (address.length === 4) return address.join('.');
  const hex = Buffer.from(address).toString('hex');
  return shortest(hex.replace(/(.{4})(?!$)/g, '$1:'));
}

/** `192.0.2.1:80`, `[2001:db8::1]:80`. */
export const endText = (address: Uint8Array, port: number): string =>
  address.length === 4 ? `${textOf(address)}:${port}` : `[${textOf(address)}]:${port}`;

/** The one shortest form of an IPv6 address. */
const shortest = (address: string): string =>
  new URL(`http://[${address.replace(/%.*/, '')}]`).hostname.slice(1, -1);
