import { slotMeter } from '../backends/common/table-model.ts';
import type { BpfMap } from '../bpf/index.ts';
import { budget } from '../dataplane/abi.ts';
import type { Change, Init } from '../p4runtime/index.ts';
import { invalid } from '../p4runtime/server/fault.ts';
import { cellsOf } from './program-tables.ts';

const NS = 1_000_000_000n;

/** Inferences that a slot may make: one each `interval` ns, and as many at once as fit into `burst` ns. */
export interface SlotBudget {
  readonly interval: bigint;
  readonly burst: bigint;
}

/** Cells of the meter and their budgets: red is what is beyond the peak. @throws Fault */
export function budgetsOf(
  entry: Init<'MeterEntry'>,
): readonly (readonly [slot: number, SlotBudget | undefined])[] {
  if (entry.meterId !== slotMeter.id) throw invalid(`an XDP host has no meter ${entry.meterId}`);
  const cells = cellsOf(entry, slotMeter.size);
  const { config } = entry;
  if (config === undefined) return cells.map((slot) => [slot, undefined]);
  const [perSecond, burst] = [BigInt(config.pir ?? 0), BigInt(config.pburst ?? 0)];
  if (perSecond < 1n || perSecond > NS)
    throw invalid(`a budget is of 1 to ${NS} inferences a second, not ${perSecond}`);
  const interval = NS / perSecond;
  // The first of a burst needs no room.
  const most = burst > 1n ? (burst - 1n) * interval : 0n;
  if (most > NS * NS) throw invalid(`a burst of ${burst} inferences at ${perSecond} a second is too long`);
  return cells.map((slot) => [slot, { interval, burst: most }]);
}

/** The budget of a slot, as programs read it; undefined where it has none. */
export function readBudget(budgets: BpfMap, slot: number): SlotBudget | undefined {
  const { interval, burst } = budget.decode(budgets.lookup(slot)!);
  return interval === 0n ? undefined : { interval, burst };
}

/** Writes what a slot may compute; undefined lets it compute all. */
export const writeBudget = (budgets: BpfMap, slot: number, own: SlotBudget | undefined): void =>
  budgets.update(slot, budget.encode({ interval: own?.interval ?? 0n, burst: own?.burst ?? 0n, due: 0n }));

/** The entry that says this budget: that which is known, where it says so, else one of the same rate. */
export function budgetEntity(
  slot: number,
  own: SlotBudget,
  known: Init<'Entity'> | undefined,
): Init<'Entity'> {
  if (known?.meterEntry?.config !== undefined && known.meterEntry.index !== undefined) {
    const [, said] = budgetsOf(known.meterEntry)[0]!;
    if (said?.interval === own.interval && said.burst === own.burst) return known;
  }
  const rate = NS / own.interval;
  const burst = own.burst / own.interval + 1n;
  return {
    meterEntry: {
      meterId: slotMeter.id,
      index: { index: slot },
      config: { cir: rate, cburst: burst, pir: rate, pburst: burst },
    },
  };
}

/** Budgets that stand after some writes, by slot. */
export function budgetsAfter(state: readonly Change[]): ReadonlyMap<number, SlotBudget> {
  const found = new Map<number, SlotBudget>();
  for (const { entity } of state)
    if (entity.meterEntry !== undefined)
      for (const [slot, own] of budgetsOf(entity.meterEntry))
        if (own === undefined) found.delete(slot);
        else found.set(slot, own);
  return found;
}
