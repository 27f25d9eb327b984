import { CaptureError, type CaptureNotes, newNotes, readCapture } from '../capture/index.ts';
import { type Diagnostic, diagnostic, refuse } from '../diagnostics/index.ts';
import type { FeatureDefinition } from './definition.ts';
import { FeatureExecutor, type FeatureRow, type Outcome } from './executor.ts';

/** What became of a capture's frames. */
export interface CaptureSummary {
  readonly frames: number;
  readonly flows: number;
  readonly rows: number;
  readonly outcomes: Readonly<Record<Outcome, number>>;
}

/** Counts of packets by what became of them, all zero. */
export const noOutcomes = (): Record<Outcome, number> => ({
  classified: 0,
  early: 0,
  late: 0,
  foreign: 0,
  fragment: 0,
  tunnel: 0,
  damaged: 0,
});

/**
 * Runs a definition over one capture, whose flows are its own: no flow goes on in another file.
 *
 * @param onRow is given each row as it is due
 * @throws DiagnosticError `capture-malformed`; `capture-link` if no frame is of a link that is understood
 */
export function extractCapture(
  definition: FeatureDefinition,
  bytes: Uint8Array,
  file: string,
  onRow: (row: FeatureRow) => void,
): { readonly summary: CaptureSummary; readonly diagnostics: readonly Diagnostic[] } {
  const executor = new FeatureExecutor(definition);
  const notes = newNotes();
  const outcomes = noOutcomes();
  let frames = 0;
  let rows = 0;
  const take = (due: readonly FeatureRow[]) => {
    for (const row of due) onRow(row);
    rows += due.length;
  };
  try {
    for (const frame of readCapture(bytes, notes)) {
      const result = executor.frame(frame);
      outcomes[result.outcome]++;
      frames++;
      take(result.rows);
    }
  } catch (error) {
    if (error instanceof CaptureError) refuse('capture-malformed', { reason: error.message }, { file });
    throw error;
  }
  take(executor.end());
  const diagnostics = captureDiagnostics(notes, frames, file);
  return { summary: { frames, flows: executor.flows, rows, outcomes }, diagnostics };
}

/** What is to be said of a capture that was read. @throws DiagnosticError `capture-link` if no frame is of a link that is understood */
export function captureDiagnostics(notes: CaptureNotes, frames: number, file: string): readonly Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  if (notes.cut) diagnostics.push(diagnostic('capture-cut', {}, { file }));
  if (notes.unknownLinks.size > 0) {
    const links = [...notes.unknownLinks.keys()].map(String);
    const unknown = [...notes.unknownLinks.values()].reduce((a, b) => a + b, 0);
    if (frames === 0) refuse('capture-link', { links, frames: unknown }, { file });
    diagnostics.push({
      ...diagnostic('capture-link', { links, frames: unknown }, { file }),
      severity: 'warning',
    });
  }
  return diagnostics;
}

/** `571 classified, 83 foreign`: those that happened. */
export const outcomesText = (outcomes: Readonly<Record<string, number>>): string =>
  Object.entries(outcomes)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
