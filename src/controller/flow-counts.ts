import {
  type ClassCounts,
  type FlowEventName,
  type FlowOutcomeName,
  flowEvents,
  flowOutcomes,
} from '../backends/common/flow/outcomes.ts';
import { classCounter, flowCounterOf, limitedCounter } from '../backends/common/flow/tables.ts';
import type { Init, P4Client } from '../p4runtime/index.ts';

/** Packets by what became of them, then flows. */
export type FlowCounts = Readonly<Record<FlowOutcomeName | FlowEventName, number>>;

/** What a device that classifies flows has counted since its program began. */
export interface FlowDeviceReport {
  /** Of all models together. */
  readonly outcomes: FlowCounts;
  /** Of each, where there are several: packets that no model was for are counted with the first and the last. */
  readonly models?: readonly { readonly name: string; readonly outcomes: FlowCounts }[];
  readonly classes: readonly ClassCounts[];
}

/**
 * Reads what a device that classifies flows has counted.
 * @param count of its classes @param names of its models, where it has several
 * @throws P4RuntimeError
 */
export async function readFlowCounts(
  client: P4Client,
  count: number,
  names: readonly string[] = [],
): Promise<FlowDeviceReport> {
  const cells = async (counterId: number): Promise<readonly Init<'CounterData'>[]> =>
    (await client.readAll([{ counterEntry: { counterId } }])).map((e) => e.counterEntry?.data ?? {});
  const outcomesOf = async (model: number): Promise<FlowCounts> => {
    const found = await cells(flowCounterOf(model).id);
    return countsBy((_, i) => Number(found[i]?.packetCount ?? 0n));
  };
  const all: FlowCounts[] = [];
  while (all.length < Math.max(1, names.length)) all.push(await outcomesOf(all.length));
  const [counts, limited] = [await cells(classCounter.id), await cells(limitedCounter.id)];
  return {
    outcomes: sumOfCounts(all),
    ...(names.length > 0 && { models: names.map((name, i) => ({ name, outcomes: all[i]! })) }),
    classes: Array.from({ length: count }, (_, c) => ({
      packets: BigInt(counts[c]?.packetCount ?? 0n),
      bytes: BigInt(counts[c]?.byteCount ?? 0n),
      limitedPackets: BigInt(limited[c]?.packetCount ?? 0n),
      limitedBytes: BigInt(limited[c]?.byteCount ?? 0n),
    })),
  };
}

/** Of several devices, or of several models of one. */
export const sumOfCounts = (all: readonly FlowCounts[]): FlowCounts =>
  countsBy((name) => all.reduce((sum, counts) => sum + counts[name], 0));

const COUNTS = [...flowOutcomes.map((o) => o.name), ...flowEvents] as const;

const countsBy = (count: (name: (typeof COUNTS)[number], cell: number) => number): FlowCounts =>
  Object.fromEntries(COUNTS.map((name, i) => [name, count(name, i)])) as FlowCounts;
