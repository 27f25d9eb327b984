import { basename } from 'node:path';
import { type Diagnostic, diagnostic, refuse } from '../diagnostics/index.ts';
import { readBytes } from '../files.ts';
import type { FeatureDefinition } from './definition.ts';
import type { FeatureRow, Outcome } from './executor.ts';
import { extractCapture, noOutcomes, outcomesText } from './extract.ts';
import { endText, type Labels } from './labels.ts';

/** What unlabelled flows have for a class. */
export const NO_CLASS = -1;

/** Where a row of the matrix comes from. */
export interface RowOrigin {
  readonly capture: string;
  /** Number of the frame in its capture, from 1 as Wireshark has it. */
  readonly frame: number;
  /** Number of the flow in its capture, from 1. */
  readonly flow: number;
  /** Packets of the flow so far. */
  readonly packets: number;
  readonly protocol: number;
  readonly client: string;
  readonly server: string;
  /** Index of the class, or `NO_CLASS`. */
  readonly class: number;
}

/** Features of captures, a row each time that the definition classifies. */
export interface FeatureMatrix {
  /** uint8, row-major `[rows][features]`. */
  readonly values: Uint8Array;
  readonly origins: readonly RowOrigin[];
  readonly frames: number;
  readonly flows: number;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * The matrix of several captures, each with flows of its own, in the order that they are given.
 *
 * @param onCapture is told how many captures are done
 * @throws DiagnosticError `file-unreadable`, `capture-malformed`, `capture-link`, `capture-empty`, `capture-no-rows`, `labels-none`
 */
export function extractMatrix(
  definition: FeatureDefinition,
  captures: readonly string[],
  labels: { readonly of: Labels; readonly file: string } | undefined,
  onCapture: (done: number) => void = () => {},
): FeatureMatrix {
  const rows: Uint8Array[] = [];
  const origins: RowOrigin[] = [];
  const diagnostics: Diagnostic[] = [];
  const outcomes = noOutcomes();
  let frames = 0;
  let flows = 0;
  captures.forEach((file, i) => {
    const capture = basename(file);
    const result = extractCapture(definition, readBytes(file), file, (row) => {
      rows.push(row.features);
      origins.push(originOf(row, capture, labels?.of));
    });
    diagnostics.push(...result.diagnostics);
    frames += result.summary.frames;
    flows += result.summary.flows;
    for (const [name, count] of Object.entries(result.summary.outcomes)) outcomes[name as Outcome] += count;
    onCapture(i + 1);
  });
  if (frames === 0) refuse('capture-empty', {}, { file: captures[0]! });
  if (rows.length === 0)
    refuse('capture-no-rows', { frames, outcomes: outcomesText(outcomes) }, { file: captures[0]! });
  if (labels !== undefined) diagnostics.push(...labelDiagnostics(labels.of, labels.file));
  return { values: Buffer.concat(rows), origins, frames, flows, outcomes, diagnostics };
}

function originOf({ flow, frame }: FeatureRow, capture: string, labels: Labels | undefined): RowOrigin {
  return {
    capture,
    frame: frame + 1,
    flow: flow.number,
    packets: flow.packets,
    protocol: flow.protocol,
    client: endText(flow.client, flow.clientPort),
    server: endText(flow.server, flow.serverPort),
    class: labels?.classOf(capture, flow) ?? NO_CLASS,
  };
}

/** What is to be said of labels once all flows have asked. @throws DiagnosticError `labels-none` */
export function labelDiagnostics(labels: Labels, file: string): readonly Diagnostic[] {
  const unused = labels.unusedLines();
  if (unused.length === labels.flows) refuse('labels-none', { flows: labels.flows }, { file });
  if (unused.length === 0) return [];
  return [
    diagnostic('labels-unused', { unused: unused.length, flows: labels.flows, line: unused[0]! }, { file }),
  ];
}
