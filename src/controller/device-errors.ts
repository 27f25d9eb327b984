import { type Diagnostic, DiagnosticError, diagnostic } from '../diagnostics/index.ts';
import { P4RuntimeError } from '../p4runtime/index.ts';
import type { DeviceAddress } from './device-session.ts';

/** What a failure of a device means for whoever deploys. Faults of ours are not dressed up: they are thrown on. */
export function deviceDiagnostics(
  { name: device, address, deviceId: id }: DeviceAddress,
  step: string,
  electionId: bigint,
  error: unknown,
): readonly Diagnostic[] {
  if (error instanceof DiagnosticError) return error.diagnostics;
  if (!(error instanceof P4RuntimeError)) throw error;
  const { kind, remedy } = error;
  // A wait that was in vain carries why its last attempt failed.
  const last = error.cause instanceof P4RuntimeError ? error.cause : error;
  const reason = last.message.replace(/\s*Resolution note:\s*$/, '');
  // BMv2 knows its own id only when a program is pushed, and has no code for it.
  if (/Error when trying to assign device/.test(reason))
    return [diagnostic('device-id', { device, address, id, reason })];
  switch (kind) {
    case 'unreachable':
    case 'stream-ended':
      return [diagnostic('device-unreachable', { device, address, reason })];
    case 'tls':
      return [diagnostic('device-tls', { device, address, reason })];
    case 'unknown-device':
      return [diagnostic('device-id', { device, address, id, reason })];
    case 'not-primary':
    case 'election-id-taken':
      return [diagnostic('device-not-primary', { device, own: `${electionId}`, reason })];
    default:
      return [diagnostic('device-failed', { device, step, reason, remedy })];
  }
}
