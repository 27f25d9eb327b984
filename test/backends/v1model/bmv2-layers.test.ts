import { expect, test } from 'vitest';
import { planV1model } from '../../../src/backends/v1model/plan.ts';
import { v1modelReplacement } from '../../../src/backends/v1model/replacement.ts';
import type { Model } from '../../../src/model/model.ts';
import { interpret, interpretRows } from '../../../src/reference/interpreter.ts';
import { planV1modelOrRefuse, requestFrame } from '../../../src/runtime/bmv2/engine.ts';
import { exchange } from '../../../src/runtime/bmv2/exchange.ts';
import { openBmv2 } from '../../../src/runtime/bmv2/session.ts';
import { decodePacket, framePayload } from '../../../src/wire/index.ts';
import { base64, modelOf } from '../../support/models.ts';
import { random, randomRows } from '../../support/random.ts';
import { layerModel, layerModelKinds, layerRows } from './layer-models.ts';
import { randomModels } from './random-models.ts';
import { bmv2Mismatches, describeWith, P4C, SWITCH } from './tools.ts';

/** More than this takes p4c long. */
const MOST_PRODUCTS = 150;

describeWith([P4C, SWITCH], 'layers on BMv2', () => {
  const isSmall = (model: Model, weights: 'runtime' | 'static') => {
    const { plan, diagnostics } = planV1model(model, { weights });
    const products = plan?.lowered.layouts.reduce((sum, l) => sum + l.products, 0) ?? 0;
    return diagnostics.length === 0 && products <= MOST_PRODUCTS;
  };

  test.each(layerModelKinds)('%s: real packets give the bytes of the reference', async (kind) => {
    let done = 0;
    for (const { seed, model } of randomModels((s) => layerModel(kind, s), 30)) {
      const weights = done % 2 === 0 ? 'runtime' : 'static';
      if (!isSmall(model, weights)) continue;
      expect(await bmv2Mismatches(model, layerRows(model, seed, 30), { weights }), `seed ${seed}`).toBe(0);
      if (++done === 2) break;
    }
    expect(done).toBe(2);
  });

  test('a table of 256 values behind wide lanes, whose elements lie beyond the reach of a shift', async () => {
    const r = random(5);
    const grid = { element: 'uint8', scale: 0.1, zeroPoint: 0 } as const;
    const weights = base64(Int8Array.from({ length: 4 * 40 }, () => r.int(-128, 127)));
    const model = modelOf({ ...grid, shape: [4] }, [
      { kind: 'dense', weights, weightScale: 0.0131, output: grid },
      { kind: 'lut', function: 'tanh', output: { ...grid, scale: 1 / 255 } },
    ]);
    expect(await bmv2Mismatches(model, randomRows(r, 40, 4))).toBe(0);
  });

  test('versions with rows of their own live side by side, and a packet gets those of the version it names', async () => {
    const r = random(11);
    const table = base64(Int8Array.from({ length: 300 * 3 }, () => r.int(-128, 127)));
    const output = { element: 'int8', scale: 0.1, zeroPoint: 0 } as const;
    const model = modelOf({ element: 'uint8', scale: 1, shape: [8] }, [
      { kind: 'embedding', keyBytes: 2, bag: 2, rows: 300, table, tableScale: 0.05, output },
    ]);
    const other: Model = {
      ...model,
      layers: model.layers.map((layer) =>
        layer.kind === 'embedding' ? { ...layer, table: layer.table.toReversed() } : layer,
      ),
    };
    const plan = planV1modelOrRefuse(model, {});
    const next = { ...plan, options: { ...plan.options, modelVersion: 2 } };
    const replacement = v1modelReplacement(plan, other, { modelVersion: 2, slot: 1 });
    const session = await openBmv2(plan, replacement.install);
    try {
      const rows = layerRows(model, 1, 20);
      const row = (i: number) => rows.subarray((i >> 1) * plan.inputs, ((i >> 1) + 1) * plan.inputs);
      let differing = 0;
      await exchange(session, {
        count: 40,
        file: 'test',
        frame: (i) => requestFrame(i % 2 === 0 ? plan : next, row(i), i),
        receive({ packet: frame }) {
          const packet = decodePacket(framePayload(frame)!)!;
          const i = packet.header.sequence;
          const expected = interpret(i % 2 === 0 ? model : other, row(i));
          if (!Buffer.from(packet.activations).equals(expected)) differing++;
        },
      });
      expect(differing).toBe(0);
      expect(interpretRows(other, rows)).not.toEqual(interpretRows(model, rows));
    } finally {
      await session.close();
    }
  });
});
