import { slotMeter } from '../backends/common/table-model.ts';
import type { Init } from '../p4runtime/index.ts';
import type { DeviceProgram } from './program.ts';

type Entity = Init<'Entity'>;

/** Inferences that a version of a model may make on a device; packets beyond it pass on uncomputed, counted as shed. */
export interface Budget {
  readonly perSecond: number;
  /** As many at once. */
  readonly burst: number;
}

/** Without a burst it is what comes in this part of a second. */
const BURST_SECONDS = 0.1;

/** @param burst default a tenth of a second's, at least 1 */
export const budgetOf = (perSecond: number, burst?: number): Budget => ({
  perSecond,
  burst: burst ?? Math.max(1, Math.ceil(perSecond * BURST_SECONDS)),
});

/** Whether the program asks a meter before it computes. */
export const hasBudgets = ({ p4info }: Pick<DeviceProgram, 'p4info'>): boolean =>
  p4info.meters?.some(({ preamble }) => preamble?.id === slotMeter.id) === true;

/** The cell of a slot with a budget. One rate is both of a meter of three colours: nothing is yellow. */
export function budgetEntity(slot: number, { perSecond, burst }: Budget): Entity {
  const [rate, most] = [BigInt(perSecond), BigInt(burst)];
  const config = { cir: rate, cburst: most, pir: rate, pburst: most };
  return { meterEntry: { meterId: slotMeter.id, index: { index: slot }, config } };
}

/** What reads the cells of some slots. */
export const budgetRequests = (slots: Iterable<number>): readonly Entity[] =>
  [...slots].map((index) => ({ meterEntry: { meterId: slotMeter.id, index: { index } } }));

/** The slot whose budget an entity is; undefined where it is something else. */
export const budgetSlot = ({ meterEntry }: Entity): number | undefined =>
  meterEntry?.meterId === slotMeter.id ? Number(meterEntry.index?.index ?? 0) : undefined;

/** The budget of a slot as it was read. */
export function budgetIn(entities: readonly Entity[], slot: number): Budget | undefined {
  const config = entities.find((e) => budgetSlot(e) === slot)?.meterEntry?.config;
  return config && { perSecond: Number(config.pir ?? 0), burst: Number(config.pburst ?? 0) };
}

/** As reports say it. */
export const budgetText = (budget: Budget | undefined): string =>
  budget === undefined ? 'none' : `${budget.perSecond}/s, ${budget.burst} at once`;
