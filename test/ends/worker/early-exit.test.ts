import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { answeredBy } from '../../../src/ends/edge/index.ts';
import { verdicts } from '../../../src/ends/worker/large-model.ts';
import { interpret } from '../../../src/reference/interpreter.ts';
import { decodePacket, encodePacket, flagUnsure, packetKinds } from '../../../src/wire/index.ts';
import { between, example, sender, worker } from '../edge/loopback.ts';
import type { Hop } from '../edge/relay.ts';

const large = 'examples/traffic-large.onnx';
const classes = readFileSync('examples/traffic-mlp.y.bin');

describe('early exit on traffic-mlp', () => {
  let small: Awaited<ReturnType<typeof example>>;
  beforeAll(async () => {
    small = await example('traffic-mlp', { verdict: true });
  });

  /** A device that holds the small model: it answers what it is sure of, and marks the rest. */
  const device = (threshold: number): Hop => ({
    forward(payload, back) {
      const packet = decodePacket(payload)!;
      const { header, activations } = packet;
      const verdict = interpret(small.model, activations);
      if (verdict[1]! < threshold)
        return [encodePacket({ ...packet, header: { ...header, flags: header.flags | flagUnsure } })];
      const answer = {
        ...header,
        kind: packetKinds.result,
        modelVersion: 1,
        nextLayer: header.layerCount,
        elementType: 1,
        elementCount: 2,
      };
      back(encodePacket({ header: answer, activations: verdict }));
      return [];
    },
  });

  const accuracy = (answers: Uint8Array) =>
    classes.reduce((right, label, row) => right + (answers[2 * row] === label ? 1 : 0), 0) / classes.length;

  it.each([
    [10, 0.541, 0.828],
    [5, 0.727, 0.814],
  ])('at margin %i answers %f in the network, and %f rightly in all', async (margin, share, joint) => {
    const w = await worker({ ...small, large });
    const path = await between(w, device(margin));
    const s = await sender(path.port, { model: small.model });
    const { answers, by, lost, statistics } = await s.send(small.rows);
    expect([lost, small.count]).toEqual([[], 6003]);
    expect(statistics.by.network / small.count).toBeCloseTo(share, 3);
    expect(statistics.by).toMatchObject({ worker: 0, large: small.count - statistics.by.network });
    expect(accuracy(answers)).toBeCloseTo(joint, 3);
    for (let row = 0; row < small.count; row++) {
      const sure = small.expected[2 * row + 1]! >= margin;
      expect(by[row]).toBe(sure ? answeredBy.network : answeredBy.large);
      if (sure) expect(answers[2 * row]).toBe(small.expected[2 * row]);
    }
    expect(Object.keys(w.statistics().answered)).toEqual(['large']);
  });

  it('finishes with the small model what comes with layers computed, or where there is no large one', async () => {
    const w = await worker({ ...small, large });
    const rows = small.rows.subarray(0, 16 * 200);
    const expected = small.expected.subarray(0, 400);
    const halfway = await sender(w.port, { model: small.model, layers: 2 });
    const split = await halfway.send(rows);
    expect(Buffer.compare(split.answers, expected)).toBe(0);
    expect(split.statistics.by).toEqual({ network: 0, worker: 200, large: 0 });

    const alone = await worker(small);
    const unsure = await sender(alone.port, { model: small.model, unsure: true });
    const { answers, statistics } = await unsure.send(rows);
    expect(Buffer.compare(answers, expected)).toBe(0);
    expect(statistics.by).toEqual({ network: 0, worker: 200, large: 0 });
  });

  it('the large model alone answers 0.831 rightly, whether rows are marked or not', async () => {
    const w = await worker({ ...small, large });
    const marked = await (await sender(w.port, { model: small.model, unsure: true })).send(small.rows);
    const plain = await (await sender(w.port, { model: small.model })).send(small.rows);
    expect(accuracy(marked.answers)).toBeCloseTo(0.831, 3);
    expect(Buffer.compare(marked.answers, plain.answers)).toBe(0);
    expect(plain.statistics.by).toEqual({ network: 0, worker: 0, large: small.count });
  });

  it.each([
    ['a small model without a verdict', 'traffic-mlp', false, large, 'ends in no verdict'],
    ['another input', 'digits-mlp', true, large, 'its input is uint8[Nx16], but uint8[64] comes'],
    [
      'another number of classes',
      'digits-mlp',
      true,
      'examples/digits-mlp.onnx',
      'its output is int8, not float32',
    ],
    ['a file that is not there', 'traffic-mlp', true, 'examples/absent.onnx', 'cannot be read'],
    ['no model', 'traffic-mlp', true, 'examples/README.md', 'ONNX Runtime cannot load it'],
  ])('refuses %s', async (_, name, verdict, file, message) => {
    const e = await example(name, { verdict, rows: 1 });
    await expect(worker({ ...e, large: file })).rejects.toThrow(message);
  });
});

describe('the margin of the large model', () => {
  it('is in sixteenths of a logit, at most 255, and 0 of what is no number', () => {
    const logits = Float32Array.of(0, 1, 0.5, /**/ 3, 3, 1, /**/ -20, 4, 0, /**/ Number.NaN, 1, 2);
    expect(Array.from(verdicts(logits, 4))).toEqual([1, 8, 0, 0, 1, 64, 0, 0]);
    expect(Array.from(verdicts(Float32Array.of(20, 0), 1))).toEqual([0, 255]);
    expect(Array.from(verdicts(Float32Array.of(7), 1))).toEqual([0, 255]);
  });
});
