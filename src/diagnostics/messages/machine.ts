import { entry } from './entry.ts';

/** What the machine lacks or forbids. */
export const machineMessages = {
  'needs-root': entry<{ what: string }>(
    'error',
    (a) => `${a.what} needs root`,
    () => 'run the command as root, or with sudo',
  ),
  'missing-tool': entry<{ tool: string; install: string }>(
    'error',
    (a) => `${a.tool} is not on the PATH`,
    (a) => a.install,
  ),
  'tool-failed': entry<{ tool: string; summary: string }>(
    'error',
    (a) => `${a.tool} failed: ${a.summary}`,
    () => 'run with --verbose for the whole log',
  ),
  bpf: entry<{ reason: string; remedy: string }>(
    'error',
    (a) => a.reason,
    (a) => a.remedy,
  ),
  agent: entry<{ reason: string; remedy: string }>(
    'error',
    (a) => a.reason,
    (a) => a.remedy,
  ),
  'not-computed': entry<{ row: number; counters: string }>(
    'error',
    (a) => `the device passed row ${a.row} on untouched (its counters: ${a.counters})`,
    () => 'docs/wire.md says what each counter counts',
  ),
  'switch-failed': entry<{ summary: string }>(
    'error',
    (a) => `the switch failed: ${a.summary}`,
    () => 'run with --verbose for the log of the switch',
  ),
};
