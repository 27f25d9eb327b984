import { type FlowDeviceReport, sumOfCounts } from '../../controller/flow-counts.ts';
import type { FlowPlan } from './flow-policies.ts';
import type { ManagedNode } from './node.ts';

/** What devices that classify flows have counted, as they were read last. */
export class FlowSight {
  readonly #counts = new Map<string, FlowDeviceReport>();

  clear(): void {
    this.#counts.clear();
  }

  keep(devices: ReadonlySet<string>): void {
    for (const name of this.#counts.keys()) if (!devices.has(name)) this.#counts.delete(name);
  }

  /** @returns whether anything was counted since the last time @throws P4RuntimeError */
  async read(node: ManagedNode): Promise<boolean> {
    const counts = await node.flowCounts();
    const before = this.#counts.get(node.name);
    if (counts === undefined) return this.#counts.delete(node.name);
    this.#counts.set(node.name, counts);
    return before === undefined || allOf(before) !== allOf(counts);
  }

  /** What all devices of a policy have counted; undefined while none was read. */
  of({ names, goals }: FlowPlan) {
    const all = [...goals.keys()].flatMap((device) => this.#counts.get(device) ?? []);
    if (all.length === 0) return undefined;
    const { outcomes, classes } = totalOf(all);
    const numbers = { ...outcomes, ...Object.fromEntries(classes.map((c, i) => [`class ${i}`, c.packets])) };
    const named = classes.map((c, i) => ({
      ...{ class: i, ...(names?.[i] !== undefined && { name: names[i] }) },
      ...c,
    }));
    return { numbers, status: { outcomes, classes: named } };
  }
}

const allOf = ({ outcomes }: FlowDeviceReport): number =>
  Object.values(outcomes).reduce((sum, n) => sum + n, 0);

/** The sums of what devices counted. */
function totalOf(all: readonly FlowDeviceReport[]) {
  const sum = (of: (counts: FlowDeviceReport) => bigint | undefined): number =>
    all.reduce((total, counts) => total + Number(of(counts) ?? 0), 0);
  return {
    outcomes: sumOfCounts(all.map((c) => c.outcomes)),
    classes: all[0]!.classes.map((_, i) => ({
      packets: sum((c) => c.classes[i]?.packets),
      bytes: sum((c) => c.classes[i]?.bytes),
      limitedPackets: sum((c) => c.classes[i]?.limitedPackets),
    })),
  };
}
