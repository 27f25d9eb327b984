import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { XdpOptions } from '../../src/backends/xdp/plan.ts';
import { importModel } from '../../src/import/index.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { createEngine } from '../../src/runtime/index.ts';
import { loadXdp, planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { decodePacket, flagTurnRound, framePayload, packetKinds } from '../../src/wire/index.ts';
import { requestFrame } from '../support/frames.ts';
import { describeWith, loading } from '../support/machine.ts';

const names = ['digits-mlp', 'digits-cnn', 'traffic-mlp'];
const forms: XdpOptions[] = (['on', 'off'] as const).flatMap((lanes) =>
  (['runtime', 'static'] as const).map((weights) => ({ lanes, weights })),
);

async function example(name: string) {
  const { model } = await importModel(`examples/${name}.onnx`);
  const rows = readFileSync(`examples/${name}.x.bin`);
  return { model, rows, expected: interpretRows(model, rows) };
}

describeWith(loading, 'the examples in the kernel', () => {
  it.each(names.flatMap((name) => forms.map((form) => [name, form] as const)))(
    '%s %o: all rows are those of the reference',
    async (name, form) => {
      const { model, rows, expected } = await example(name);
      const engine = await createEngine('xdp', model, form);
      const seen: number[] = [];
      const actual = await engine.run(rows, (done) => seen.push(done));
      await engine.close();
      expect(Buffer.compare(actual, expected)).toBe(0);
      expect(seen.at(-1)).toBe(rows.length / elementCount(model.input.shape));
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
    },
  );

  it.each(names)('%s: the packet of one program feeds the next', async (name) => {
    const { model, rows, expected } = await example(name);
    const count = 20;
    const inputs = elementCount(model.input.shape);
    const last = model.layers.length;
    for (const cuts of [[1], [1, 2], [last - 1]].filter((c) => c.every((cut) => cut < last))) {
      const ends = [0, ...cuts, last];
      const plans = ends.slice(1).map((to, i) => planOrRefuse(model, { from: ends[i]!, to }));
      const devices = await Promise.all(plans.map((plan) => loadXdp(plan)));
      const answers: number[] = [];
      for (let row = 0; row < count; row++) {
        let frame = requestFrame(plans[0]!, rows.subarray(row * inputs, (row + 1) * inputs), {
          turnRound: true,
        });
        devices.forEach((device, i) => {
          const isLast = i === devices.length - 1;
          const { packet, action } = device.program.testRun({ packet: frame, dataOutSize: 4096 });
          // Only the last one answers; the others send the request on its way.
          expect(action).toBe(isLast ? 3 : 2);
          const { header } = decodePacket(framePayload(packet)!)!;
          expect(header).toMatchObject({
            nextLayer: ends[i + 1],
            kind: isLast ? packetKinds.result : packetKinds.request,
            flags: flagTurnRound,
          });
          frame = packet;
        });
        answers.push(...decodePacket(framePayload(frame)!)!.activations);
      }
      for (const device of devices) device.close();
      expect(answers).toEqual([...expected.subarray(0, answers.length)]);
    }
  });
});
