import { describe, expect, it } from 'vitest';
import { patience } from '../../../src/ends/edge/deadlines.ts';
import { Pacer } from '../../../src/ends/edge/pacer.ts';
import { RequestEncoder } from '../../../src/ends/edge/requests.ts';
import { answeredBy } from '../../../src/ends/edge/statistics.ts';
import { Transfer, type TransferOptions } from '../../../src/ends/edge/transfer.ts';
import {
  decodePacket,
  flagUnsure,
  flagWorker,
  type InferencePacket,
  outcomeIndex,
  type PacketOutcome,
  packetKinds,
} from '../../../src/wire/index.ts';

const element = 'uint8' as const;

/** Rows of two elements, answers of three; what is sent is kept, and time is a number. */
function transfer(rows: number, change: Partial<TransferOptions> = {}) {
  const sent: InferencePacket[] = [];
  const request = { modelId: 1, modelVersion: 0, layerCount: 2, element, jobId: 5n };
  const t = new Transfer(
    Uint8Array.from({ length: 2 * rows }, (_, i) => i),
    {
      encoder: new RequestEncoder(2, 1, request),
      jobId: 5n,
      firstSequence: 0xffffffff, // runs over after the first row
      modelId: 1,
      layerCount: 2,
      input: { element, count: 2 },
      output: { element, count: 3 },
      window: 4,
      timeoutMs: 100,
      retries: 2,
      transmit: (packet) => sent.push(decodePacket(packet)!),
      ...change,
    },
  );
  const rowOf = ({ header }: InferencePacket) => (header.sequence + 1) >>> 0;
  const answer = (row: number, fill = row, header: object = {}): InferencePacket => ({
    header: {
      ...sent[0]!.header,
      ...{ kind: packetKinds.result, nextLayer: 2, elementCount: 3, modelVersion: 1 },
      sequence: (row - 1) >>> 0,
      ...header,
    },
    activations: new Uint8Array(3).fill(fill),
  });
  const fault = (row: number, reason: PacketOutcome): InferencePacket => ({
    header: { ...answer(row).header, kind: packetKinds.error, elementCount: 1 },
    activations: Uint8Array.of(outcomeIndex(reason)),
  });
  return { t, sent, rowOf, answer, fault };
}

describe('a transfer', () => {
  it('keeps a window of rows without an answer', () => {
    const { t, sent, rowOf, answer } = transfer(6);
    t.advance(0);
    expect(sent.map(rowOf)).toEqual([0, 1, 2, 3]);
    t.receive(answer(1), 1);
    t.pump(1);
    expect(sent.map(rowOf)).toEqual([0, 1, 2, 3, 4]);
    for (const row of [0, 2, 3, 4, 4]) t.receive(answer(row), 2);
    t.pump(2);
    t.receive(answer(5), 9);
    expect(t.done).toBe(true);
    expect(Array.from(t.answers)).toEqual([0, 1, 2, 3, 4, 5].flatMap((v) => [v, v, v]));
    expect(t.statistics()).toMatchObject({
      ...{ answered: 6, lost: 0, sent: 6, retried: 0, duplicates: 1, differing: 0, longestPauseMs: 7 },
      latencyMs: { p50: 2, p99: 7, max: 7 },
    });
  });

  it('sends again with the same sequence, later each time, and then gives up', () => {
    const { t, sent, rowOf } = transfer(1);
    const times: number[] = [];
    for (let now = 0; !t.done; now++) {
      const before = sent.length;
      t.advance(now);
      if (sent.length > before) times.push(now);
    }
    expect(times).toEqual([0, 100, 300]);
    expect(sent.map(rowOf)).toEqual([0, 0, 0]);
    expect(t.lost()).toEqual([{ row: 0, reason: 'no answer' }]);
    expect(t.statistics()).toMatchObject({ retried: 2, sent: 3, lost: 1 });
    expect([0, 1, 2, 3, 4, 50].map((attempt) => patience(100, attempt))).toEqual([
      100, 200, 400, 800, 800, 800,
    ]);
  });

  it('says when it wants to be called again', () => {
    const { t, answer } = transfer(2, { window: 1 });
    expect(t.advance(0)).toBe(100);
    expect(t.advance(40)).toBe(60);
    t.receive(answer(0), 50);
    expect(t.advance(50)).toBe(100);
    const paced = transfer(2, { pacer: new Pacer(100, 1, 0) });
    expect(paced.t.advance(0)).toBeCloseTo(10, 6);
  });

  it('takes the first answer, and counts one that differs', () => {
    const { t, answer } = transfer(2);
    t.advance(0);
    t.receive(answer(0, 7, { flags: flagWorker }), 1);
    t.receive(answer(0, 8), 2);
    t.receive(answer(1, 9, { flags: flagWorker | flagUnsure, modelVersion: 3 }), 3);
    expect(Array.from(t.answers)).toEqual([7, 7, 7, 9, 9, 9]);
    expect(Array.from(t.by)).toEqual([answeredBy.worker, answeredBy.large]);
    expect(t.statistics()).toMatchObject({ duplicates: 1, differing: 1, versions: { 1: 1, 3: 1 } });
  });

  it('does not repeat what cannot succeed, but what may', () => {
    const { t, sent, rowOf, fault, answer } = transfer(3);
    t.advance(0);
    t.receive(fault(0, 'unknown_version'), 1);
    t.receive(fault(1, 'failed'), 1);
    t.receive(answer(2), 1);
    t.advance(100);
    expect(sent.map(rowOf)).toEqual([0, 1, 2, 1]);
    t.receive(fault(1, 'failed'), 101);
    for (let now = 101; !t.done; now += 50) t.advance(now);
    expect(t.lost()).toEqual([
      { row: 0, reason: 'unknown_version' },
      { row: 1, reason: 'failed' },
    ]);
    expect(t.statistics().errors).toEqual({ unknown_version: 1, failed: 2 });
  });

  it('welcomes an answer after it gave up', () => {
    const { t, answer } = transfer(2, { retries: 0, window: 1 });
    t.advance(0);
    t.advance(100);
    t.receive(answer(0), 150);
    t.receive(answer(1), 160);
    expect([t.done, t.lost()]).toEqual([true, []]);
  });

  it('ignores what is no answer to it', () => {
    const { t, answer, fault } = transfer(2);
    t.advance(0);
    for (const header of [
      ...[{ jobId: 6n }, { modelId: 2 }, { sequence: 1 }, { layerCount: 3 }, { nextLayer: 1 }],
      ...[{ elementType: 2 }, { elementCount: 2 }, { kind: packetKinds.request }, { fragmentIndex: 1 }],
      ...[{ fragmentCount: 0 }, { kind: packetKinds.probe }],
    ])
      t.receive(answer(0, 1, header), 1);
    t.receive({ ...fault(0, 'failed'), activations: new Uint8Array(0) }, 1);
    expect(t.statistics()).toMatchObject({ answered: 0, strays: 12 });
  });

  it('puts results together from fragments of one answer', () => {
    const { t, answer } = transfer(2);
    t.advance(0);
    const piece = (index: number, fill: number, header: object = {}) => {
      const { header: h } = answer(0);
      const own = { elementCount: 1, fragmentIndex: index, fragmentCount: 3, ...header };
      return { header: { ...h, ...own }, activations: Uint8Array.of(fill) };
    };
    t.receive(piece(2, 1), 1);
    t.receive(piece(0, 2, { modelVersion: 2 }), 1); // another version: it begins anew
    t.receive(piece(2, 4, { modelVersion: 2 }), 1);
    t.receive(piece(2, 4, { modelVersion: 2 }), 1);
    expect(t.answered).toBe(0);
    t.receive(piece(1, 3, { modelVersion: 2 }), 1);
    t.receive(piece(1, 3), 1);
    t.receive(piece(1, 9), 1);
    expect(Array.from(t.answers.subarray(0, 3))).toEqual([2, 3, 4]);
    expect(t.statistics()).toMatchObject({ answered: 1, duplicates: 3, differing: 1 });
  });
});
