import { X509Certificate } from 'node:crypto';

/** Who may come in by a certificate that the CA signed. */
export interface PeerRule {
  /** A DNS name or the common name of the certificate, or a SPIFFE id (`spiffe://...`). */
  readonly name: string;
  /** Roles of P4Runtime that it may take; left out, any, the default role included. The default role is the empty name. */
  readonly roles?: readonly string[];
}

/** The other end of a connection, as far as it matters who that is. */
export interface Peer {
  /** The name by which it was let in; empty where the door itself decides who comes (a socket's mode, or nobody). */
  readonly name: string;
  /** Undefined: any. */
  readonly roles: ReadonlySet<string> | undefined;
}

/** A client of a door that asks nobody who they are: it may take every role. */
export const ANYBODY: Peer = { name: '', roles: undefined };

/** Whether a rule lets the client be a controller of that role; '' is the default role. */
export const mayTake = ({ roles }: Peer, role: string): boolean => roles === undefined || roles.has(role);

const SPIFFE = 'spiffe://';

/** Names of a certificate: its SPIFFE id alone if it has one, as that standard asks; else DNS names and common name. */
export function certificateNames(certificate: Uint8Array): readonly string[] {
  const { subject, subjectAltName = '' } = new X509Certificate(certificate);
  const alternatives = [...subjectAltName.matchAll(ALTERNATIVE)].map(([, kind, value]) => ({
    kind: kind!,
    // Node quotes what could be taken for several.
    value: value!.startsWith('"') ? unquoted(value!) : value!,
  }));
  const ids = alternatives.filter((a) => a.kind === 'URI').map((a) => a.value);
  if (ids.some((id) => id.startsWith(SPIFFE))) return ids.length === 1 ? ids : [];
  const names = alternatives.filter((a) => a.kind === 'DNS').map((a) => a.value.toLowerCase());
  // One attribute a line; a line break within one is escaped.
  const common = subject.split('\n').flatMap((line) => (line.startsWith('CN=') ? [line.slice(3)] : []));
  return [...names, ...(common.length === 1 ? [common[0]!.toLowerCase()] : [])];
}

const ALTERNATIVE = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g;

/** Empty where it is no text in quotes: no rule lets that in. */
function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return '';
  }
}

/** @returns undefined for one whom no rule lets in */
export function peerOf(certificate: Uint8Array, rules: readonly PeerRule[]): Peer | undefined {
  const names = certificateNames(certificate);
  const rule = rules.find(({ name }) => names.includes(name.startsWith(SPIFFE) ? name : name.toLowerCase()));
  if (rule === undefined) return undefined;
  return { name: rule.name, roles: rule.roles && new Set(rule.roles) };
}
