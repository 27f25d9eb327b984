import { basename } from 'node:path';
import { CaptureError, type CaptureNotes, type Frame, newNotes, readCapture } from '../capture/index.ts';
import { type Diagnostic, refuse } from '../diagnostics/index.ts';
import type { FlowEnds } from '../features/executor.ts';
import { captureDiagnostics, noOutcomes, outcomesText } from '../features/extract.ts';
import { endText, type Labels } from '../features/labels.ts';
import { labelDiagnostics } from '../features/matrix.ts';
import { readBytes } from '../files.ts';
import type { ClassCounts } from '../runtime/xdp/flow-actions.ts';
import type { FlowEngine, FlowOutcome, PacketDecision } from './engine.ts';

/** A flow of a capture and what was said of it. */
export interface FlowRecord {
  readonly capture: string;
  /** From 1, in the order of first packets. */
  readonly flow: number;
  readonly protocol: number;
  readonly client: string;
  readonly server: string;
  readonly packets: number;
  /** Times of the first and the last packet, nanoseconds since 1970. */
  readonly begunNs: bigint;
  readonly seenNs: bigint;
  /** Verdicts that were made of it. */
  readonly verdicts: number;
  /** The last of them, which its packets have from then on; undefined if none was due. */
  readonly verdict: { readonly class: number; readonly margin: number } | undefined;
  /** Whether a larger model has given it. */
  readonly larger?: boolean;
  /** Index of the class that the labels say. */
  readonly label: number | undefined;
}

/** A verdict beside what the labels say of its flow. */
export interface LabelledVerdict {
  readonly class: number;
  readonly label: number;
}

/** All that came of the captures, before it is scored. */
export interface Classification {
  readonly flows: readonly FlowRecord[];
  /** Of each verdict whose flow has a label. */
  readonly verdicts: readonly LabelledVerdict[];
  readonly verdictCount: number;
  readonly frames: number;
  readonly outcomes: Readonly<Record<FlowOutcome, number>>;
  readonly diagnostics: readonly Diagnostic[];
  /** Of classes with actions: what was counted of each. */
  readonly classes?: readonly ClassCounts[];
  /** Where a larger model was asked. */
  readonly escalation?: EscalationCounts;
}

/** Flows that a larger model was asked about, had its answer, were gone by then, and that there was no budget for. */
export type EscalationCounts = Readonly<Record<'asked' | 'answered' | 'overdue' | 'shed', number>>;

type OpenRecord = { -readonly [K in keyof FlowRecord]: FlowRecord[K] };

/**
 * Classifies the flows of captures, in the order given.
 *
 * @param onCapture is told how many captures are done
 * @throws DiagnosticError `file-unreadable`, `capture-malformed`, `capture-link`, `capture-empty`, `capture-no-rows`, `labels-none`
 */
export async function classifyCaptures(
  engine: FlowEngine,
  captures: readonly string[],
  labels: { readonly of: Labels; readonly file: string } | undefined,
  onCapture: (done: number) => void = () => {},
): Promise<Classification> {
  const flows: OpenRecord[] = [];
  const verdicts: LabelledVerdict[] = [];
  const outcomes: Record<FlowOutcome, number> = { ...noOutcomes(), collided: 0, cached: 0, failed: 0 };
  const diagnostics: Diagnostic[] = [];
  let [frames, verdictCount, done] = [0, 0, 0];
  for (const file of captures) {
    const capture = basename(file);
    const known = new Map<number, OpenRecord>();
    const recordOf = (flow: FlowEnds & { number: number }, timeNs: bigint): OpenRecord => {
      const found = known.get(flow.number);
      if (found !== undefined) return found;
      const record = newRecord(capture, flow, timeNs, labels?.of);
      known.set(flow.number, record);
      flows.push(record);
      return record;
    };
    const take = ({ outcome, flow, rows, answer }: PacketDecision, frame: Frame | undefined): void => {
      if (frame !== undefined) {
        outcomes[outcome]++;
        frames++;
      }
      if (flow !== undefined && frame !== undefined) {
        const record = recordOf(flow, frame.timeNs);
        record.packets = flow.packets;
        record.seenNs = frame.timeNs;
      }
      for (const row of rows) {
        const record = recordOf(row.flow, frame?.timeNs ?? 0n);
        record.verdicts++;
        record.verdict = { class: row.class, margin: row.margin };
        verdictCount++;
        if (record.label !== undefined) verdicts.push({ class: row.class, label: record.label });
      }
      if (answer !== undefined) {
        const record = recordOf(answer.flow, frame?.timeNs ?? 0n);
        record.verdict = { class: answer.class, margin: answer.margin };
        record.larger = true;
      }
    };
    const before = frames;
    const notes = newNotes();
    await walk(file, notes, (all) => engine.capture(all, take));
    diagnostics.push(...captureDiagnostics(notes, frames - before, file));
    onCapture(++done);
  }
  if (frames === 0) refuse('capture-empty', {}, { file: captures[0]! });
  if (verdictCount === 0)
    refuse('capture-no-rows', { frames, outcomes: outcomesText(outcomes) }, { file: captures[0]! });
  if (labels !== undefined) diagnostics.push(...labelDiagnostics(labels.of, labels.file));
  return { flows, verdicts, verdictCount, frames, outcomes, diagnostics };
}

/** @throws DiagnosticError `capture-malformed` */
async function walk(
  file: string,
  notes: CaptureNotes,
  use: (frames: Iterable<Frame>) => Promise<void>,
): Promise<void> {
  try {
    await use(readCapture(readBytes(file), notes));
  } catch (error) {
    if (error instanceof CaptureError) refuse('capture-malformed', { reason: error.message }, { file });
    throw error;
  }
}

const newRecord = (
  capture: string,
  flow: FlowEnds & { number: number },
  timeNs: bigint,
  labels: Labels | undefined,
): OpenRecord => ({
  capture,
  flow: flow.number,
  protocol: flow.protocol,
  client: endText(flow.client, flow.clientPort),
  server: endText(flow.server, flow.serverPort),
  packets: 0,
  begunNs: timeNs,
  seenNs: timeNs,
  verdicts: 0,
  verdict: undefined,
  label: labels?.classOf(capture, flow),
});
