import { describe, expect, it } from 'vitest';
import { difference, type Init } from '../../src/p4runtime/index.ts';

type TableEntry = Init<'TableEntry'>;
const bytes = (...values: number[]) => Uint8Array.from(values);

const entry = (params: readonly (readonly [id: number, value: Uint8Array])[], more: TableEntry = {}) => ({
  tableEntry: {
    tableId: 7,
    match: [{ fieldId: 1, exact: { value: bytes(1) } }],
    action: {
      action: { actionId: 3, params: params.map(([paramId, value]) => ({ paramId, value })) },
    },
    ...more,
  },
});
const typesFrom = (is: Init<'Entity'>, should: Init<'Entity'>) =>
  difference([is], [should], new Set()).map(({ type }) => type);

describe('the difference of what is and what should be', () => {
  const plain = entry([
    [1, bytes(9)],
    [2, bytes(1, 2)],
  ]);

  it('is nothing where both say the same, however it is written', () => {
    const same = [
      entry([
        [1, bytes(0, 0, 9)],
        [2, bytes(1, 2)],
      ]),
      entry([
        [2, bytes(1, 2)],
        [1, bytes(9)],
      ]),
      entry(
        [
          [1, bytes(9)],
          [2, bytes(1, 2)],
        ],
        { match: [{ fieldId: 1, exact: { value: bytes(0, 1) } }], metadata: bytes(), idleTimeoutNs: 0n },
      ),
      entry(
        [
          [1, bytes(9)],
          [2, bytes(1, 2)],
        ],
        { counterData: { packetCount: 4n } },
      ),
    ];
    for (const other of same) expect([typesFrom(plain, other), typesFrom(other, plain)]).toEqual([[], []]);
  });

  it('is a change where anything that was written is another', () => {
    const [one, two] = [[1, bytes(9)] as const, [2, bytes(1, 2)] as const];
    const others = [
      entry([one, [2, bytes(1, 3)]]),
      entry([one, [2, bytes(1, 2, 0)]]),
      entry([one]),
      entry([one, two], { metadata: bytes(5) }),
      entry([one, two], { idleTimeoutNs: 7n }),
      entry([one, two], { action: { action: { actionId: 4, params: [] } } }),
    ];
    for (const other of others)
      expect([typesFrom(plain, other), typesFrom(other, plain)]).toEqual([['MODIFY'], ['MODIFY']]);
  });
});
