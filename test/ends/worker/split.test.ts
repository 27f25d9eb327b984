import { beforeAll, describe, expect, it } from 'vitest';
import { example, sender, worker } from '../edge/loopback.ts';

describe('digits-cnn between edge and worker', () => {
  let cnn: Awaited<ReturnType<typeof example>>;
  beforeAll(async () => {
    cnn = await example('digits-cnn');
  });
  const cuts = [0, 1, 2, 3, 4];

  it.each(['onnxruntime', 'reference'] as const)(
    'on %s, cut anywhere, gives the 500 answers of the whole',
    async (on) => {
      const w = await worker({ ...cnn, on });
      expect(w.engines).toEqual(cuts.map(() => on));
      for (const layers of cuts) {
        const s = await sender(w.port, { model: cnn.model, layers });
        const { answers, lost, statistics } = await s.send(cnn.rows);
        expect([layers, lost, statistics.by.worker]).toEqual([layers, [], 500]);
        expect(Buffer.compare(answers, cnn.expected)).toBe(0);
      }
      const { answered, refused } = w.statistics();
      expect(Object.keys(answered)).toEqual(cuts.map(String));
      expect(refused).toEqual({});
    },
  );

  it('goes in fragments where a tensor is larger than the path allows, both ways', async () => {
    const w = await worker({ ...cnn, mtu: 65 });
    for (const layers of cuts) {
      const s = await sender(w.port, { model: cnn.model, layers, mtu: 70, window: 8 });
      const { answers, lost, statistics } = await s.send(cnn.rows.subarray(0, 40 * 64));
      expect(lost).toEqual([]);
      expect(Buffer.compare(answers, cnn.expected.subarray(0, 400))).toBe(0);
      expect(statistics.sent).toBeGreaterThanOrEqual(40 * 7);
    }
    const { fragments } = w.statistics();
    expect(fragments.pending).toBe(0);
    expect(fragments.completed).toBeGreaterThanOrEqual(200);
  });

  it('waiting rows go in one run', async () => {
    const w = await worker({ ...cnn, on: 'onnxruntime', batch: 32 });
    const s = await sender(w.port, { model: cnn.model, window: 500 });
    expect((await s.send(cnn.rows)).lost).toEqual([]);
    const { batches, largestBatch, answered } = w.statistics();
    expect(largestBatch).toBeGreaterThan(1);
    expect(largestBatch).toBeLessThanOrEqual(32);
    expect(batches).toBeLessThan(answered[0]!);
  });
});

describe.each(['digits-mlp', 'traffic-mlp'])('%s', (name) => {
  it('over ONNX Runtime, with and without a verdict, cut anywhere', async () => {
    for (const verdict of [false, true]) {
      const e = await example(name, { verdict, rows: 300 });
      const w = await worker({ ...e, on: 'auto' });
      for (let layers = 0; layers < e.model.layers.length; layers++) {
        const s = await sender(w.port, { model: e.model, layers });
        expect(Buffer.compare((await s.send(e.rows)).answers, e.expected)).toBe(0);
      }
    }
  });
});
