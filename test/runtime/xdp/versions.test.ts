import { expect, it } from 'vitest';
import { planReplacement } from '../../../src/backends/xdp/replacement.ts';
import { encodeWeights } from '../../../src/backends/xdp/weights.ts';
import type { Model } from '../../../src/model/model.ts';
import { elementCount } from '../../../src/model/tensor.ts';
import { interpret } from '../../../src/reference/interpreter.ts';
import { loadXdp, planOrRefuse } from '../../../src/runtime/xdp/engine.ts';
import { decodePacket, framePayload } from '../../../src/wire/index.ts';
import { requestFrame } from '../../support/frames.ts';
import { describeWith, loading } from '../../support/machine.ts';
import { modelOf, randomLinear } from '../../support/models.ts';
import { random, randomRows } from '../../support/random.ts';

/** An image network; scales, zero points and weights are of the seed, shapes and element types are not. */
function network(seed: number): Model {
  const r = random(seed);
  const grid = (element: 'uint8' | 'int8') => ({ element, scale: 0.02 + r.next() / 10, zeroPoint: 5 });
  const input = grid('uint8');
  const linear = (taps: number, outs: number, element: 'uint8' | 'int8') => ({
    ...randomLinear(r, taps, outs, input),
    weightZeroPoint: 0,
    output: grid(element),
    rounding: 'half-even' as const,
  });
  return modelOf(
    { ...input, shape: [1, 6, 6] },
    [
      { kind: 'conv2d', ...linear(9, 3, 'int8'), kernel: [3, 3], pads: [1, 1, 1, 1] },
      { kind: 'maxPool', kernel: [2, 2] },
      { kind: 'dense', ...linear(27, 17, 'uint8') },
      { kind: 'relu' },
      { kind: 'dense', ...linear(17, 5, 'int8') },
      { kind: 'argmax' },
    ],
    `v${seed}`,
  );
}

describeWith(loading, 'versions side by side', () => {
  it('are installed, asked for and flipped', async () => {
    const models = [network(1), network(2), network(3)];
    const program = planOrRefuse(models[0]!, { modelVersion: 1 });
    using device = await loadXdp(program);
    const rows = randomRows(random(8), 12, elementCount(program.input.shape));
    const inputs = elementCount(program.input.shape);
    const replaced = (version: number) => planReplacement(program, models[version - 1]!, version);

    /** The version that answers, and whether all answers are its model's; undefined if none comes back. */
    const ask = (modelVersion: number): number | undefined => {
      let answering: number | undefined;
      for (let at = 0; at < rows.length; at += inputs) {
        const row = rows.subarray(at, at + inputs);
        const { packet } = device.program.testRun({ packet: requestFrame(program, row, { modelVersion }) });
        const { header, activations } = decodePacket(framePayload(packet)!)!;
        if (header.nextLayer === 0) return undefined;
        answering = header.modelVersion;
        expect([...activations]).toEqual([...interpret(models[answering - 1]!, row)]);
      }
      return answering;
    };

    expect([ask(0), ask(1), ask(2)]).toEqual([1, 1, undefined]);
    device.install(1, { modelId: 1, modelVersion: 2, weights: encodeWeights(replaced(2)) });
    expect(device.active).toBe(0);
    expect([ask(0), ask(1), ask(2)]).toEqual([1, 1, 2]);
    device.activate(1);
    expect(device.active).toBe(1);
    expect([ask(0), ask(1), ask(2)]).toEqual([2, 1, 2]);
    // The third takes the place of the first, which is not active any more.
    device.install(0, { modelId: 1, modelVersion: 3, weights: encodeWeights(replaced(3)) });
    expect([ask(0), ask(1), ask(2), ask(3)]).toEqual([2, undefined, 2, 3]);
    device.activate(0);
    expect([ask(0), ask(2), ask(3)]).toEqual([3, 2, 3]);
    device.clear(1);
    expect([ask(0), ask(2), ask(3)]).toEqual([3, undefined, 3]);
    expect(device.counters().failed).toBe(0n);
  });

  it('are found in either slot, whichever is active', async () => {
    const model = network(1);
    const program = planOrRefuse(model, {});
    using device = await loadXdp(program);
    device.clear(0);
    device.install(1, { modelId: 1, modelVersion: 4, weights: encodeWeights(program) });
    const row = new Uint8Array(36);
    const asked = (modelVersion: number) => {
      const { packet } = device.program.testRun({ packet: requestFrame(program, row, { modelVersion }) });
      return decodePacket(framePayload(packet)!)!.header.nextLayer;
    };
    // Nothing is current, but the version that is there can be asked for by its number.
    expect([asked(0), asked(4), asked(5)]).toEqual([0, model.layers.length, 0]);
    expect(device.counters()).toMatchObject({ computed: 1n, unknown_version: 2n, unknown_model: 0n });
  });
});
