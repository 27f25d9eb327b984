import { describe, expect, it } from 'vitest';
import { layOut } from '../../../src/backends/tna/lay-out.ts';
import type { Block, Unit } from '../../../src/backends/tna/units.ts';

const tablesOf = (name: string, count: number, use: Unit['use']): Unit[] =>
  Array.from({ length: count }, (_, i) => ({ name: `${name}_${i}`, use: { tables: 1, ...use } }));
const sums = { wide: 1, half: 0 };
const nothing = { before: [], beside: [] };
const stagesOf = (made: ReturnType<typeof layOut>, name: string) =>
  made.placed.filter((p) => p.name.startsWith(name)).map((p) => p.stage);

describe('tables over the stages', () => {
  it('come first where the most stages follow, whichever the gress', () => {
    const blocks: Block[] = [
      { name: 'long', tables: tablesOf('long', 4, { busBytes: 100 }), sums },
      { name: 'short', tables: tablesOf('short', 2, { busBytes: 100 }), sums },
    ];
    const made = layOut(blocks, nothing, 1, [1, 1]);
    expect(made.stages).toEqual({ ingress: 5, egress: 6 });
    expect(stagesOf(made, 'long')).toEqual([0, 1, 2, 4]);
    expect(stagesOf(made, 'short')).toEqual([3, 5]);
  });

  it('of one layer fill its sets alike, which are joined two by two', () => {
    const made = layOut([{ name: 'layer', tables: tablesOf('t', 6, {}), sums }], nothing, 1, [4]);
    const sizes = [0, 1, 2, 3].map((set) => made.blocks[0]!.setOf.filter((s) => s === set).length);
    expect(sizes.sort()).toEqual([1, 1, 2, 2]);
    expect(made.stages.ingress).toBe(4);
    for (let stage = 0; stage < 2; stage++) {
      const there = made.placed.flatMap((p, i) => (p.stage === stage ? [made.blocks[0]!.setOf[i]] : []));
      expect(new Set(there).size).toBe(there.length);
    }
  });

  it('take what they need otherwise where a stage has no more of it', () => {
    const units = tablesOf('byte', 8, { hashUnits: 1, sram: 1 }).map((unit) => ({
      ...unit,
      otherwise: { tables: 1, sram: 2 },
    }));
    const made = layOut([{ name: 'bytes', tables: units, sums: { wide: 0, half: 0 } }], nothing, 1, [8]);
    expect(made.uses[0]).toMatchObject({ tables: 8, hashUnits: 6, sram: 6 + 2 * 2 });
  });

  it('that no stage holds stand behind all that a chip has', () => {
    const blocks = [{ name: 'wide', tables: tablesOf('wide', 2, { tcam: 25 }), sums }];
    expect(layOut(blocks, nothing, 1, [1]).stages.ingress).toBeGreaterThan(200);
  });

  it('beside the blocks run one after the other', () => {
    const beside = [...tablesOf('answer', 1, {}), { name: 'waits', use: {} }, ...tablesOf('checksum', 1, {})];
    const made = layOut([], { before: [], beside }, 0, []);
    expect(made.stages).toEqual({ ingress: 0, egress: 3 });
    expect(made.placed.map((p) => [p.name, p.stage])).toEqual([
      ['answer_0', 0],
      ['checksum_0', 2],
    ]);
  });
});
