import { afterEach, expect, it, vi } from 'vitest';
import type * as Engines from '../../src/runtime/index.ts';
import { intransit } from '../support/io.ts';

/** The engine `xdp` is the reference, with so many of its output bytes wrong or lost. */
const fault = { wrong: 0, lost: 0 };

vi.mock('../../src/runtime/index.ts', async (original) => {
  const actual = await original<typeof Engines>();
  return {
    ...actual,
    createEngine: async (name: string, ...rest: [never, never]) => {
      const engine = await actual.createEngine('reference', ...rest);
      if (name === 'reference') return engine;
      return {
        ...engine,
        async run(rows: Uint8Array) {
          const out = await engine.run(rows);
          for (let i = 0; i < fault.wrong; i++) out[i * 3]! ^= 0x40;
          return out.subarray(0, out.length - fault.lost);
        },
      };
    },
  };
});

afterEach(() => Object.assign(fault, { wrong: 0, lost: 0 }));

const verify = () =>
  intransit(
    ...['verify', 'examples/digits-mlp.onnx', '--on', 'xdp', '--json', '--rows', '4'],
    ...['--input', 'examples/digits-mlp.x.bin'],
  );

it.each([
  [0, 0, 0],
  [1, 0, 1],
  [5, 2, 7],
])('%i wrong and %i lost bytes are %i mismatches', async (wrong, lost, mismatches) => {
  Object.assign(fault, { wrong, lost });
  const { code, out } = await verify();
  expect(JSON.parse(out)).toEqual({ xdp: { rows: 4, elements: 40, mismatches } });
  expect(code).toBe(mismatches > 0 ? 1 : 0);
});
