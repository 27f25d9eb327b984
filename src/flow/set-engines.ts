import type { XdpFlowPlan } from '../backends/xdp/flow/plan.ts';
import type { Frame } from '../capture/index.ts';
import { type FlowPlace, LEAST_FRAME, type XdpFlowDevice } from '../devices/xdp-flow.ts';
import { asEthernet } from '../features/as-ethernet.ts';
import { FeatureExecutor, type Flow, type PacketResult } from '../features/executor.ts';
import { parsePacket } from '../features/packet.ts';
import { Comparison, type DeviceResult } from './compare.ts';
import type { ClassifiedRow, Equality, FlowEngine, Verdict } from './engine.ts';
import { verdicts } from './engine.ts';
import { type FlowSet, memberOf, type SetModel } from './set.ts';
import { given, loadXdpFlow, planFlowOrRefuse } from './xdp.ts';

/** Packets after which other work of the process has its turn. */
const TURN = 1024;

/** A model's verdicts, with the numbers that its classes have in the set. */
export function verdictsIn({ model, classes }: SetModel): (features: Uint8Array) => Verdict {
  const verdictOf = verdicts(model);
  return (features) => {
    const verdict = verdictOf(features);
    return { ...verdict, class: classes[verdict.class]! };
  };
}

/** The flows of all members, numbered in the order of their first packets. */
class Members {
  readonly #set: FlowSet;
  readonly executors: readonly FeatureExecutor[];
  readonly #numbers = new Map<string, number>();

  constructor(set: FlowSet) {
    this.#set = set;
    this.executors = set.members.map((m) => new FeatureExecutor(m.definition));
  }

  /** Which member has the frame, and what becomes of it there. */
  frame(frame: Frame): { readonly member: number; readonly result: PacketResult } {
    const packet = parsePacket(frame);
    if (typeof packet === 'string') return { member: -1, result: { outcome: packet, rows: [] } };
    const member = memberOf(this.#set, packet);
    if (member < 0) return { member, result: { outcome: 'foreign', rows: [] } };
    const result = this.executors[member]!.frame(frame);
    const rows = result.rows.map((row) => ({ ...row, flow: this.numbered(member, row.flow) }));
    return {
      member,
      result: { ...result, rows, ...(result.flow && { flow: this.numbered(member, result.flow) }) },
    };
  }

  numbered(member: number, flow: Flow): Flow {
    const key = `${member} ${flow.number}`;
    const known = this.#numbers.get(key) ?? this.#numbers.size + 1;
    this.#numbers.set(key, known);
    return { ...flow, number: known };
  }

  /** The rows of flows that end with the capture. */
  *end(): Iterable<{ readonly member: number; readonly row: PacketResult['rows'][number] }> {
    for (const [member, executor] of this.executors.entries())
      for (const row of executor.end())
        yield { member, row: { ...row, flow: this.numbered(member, row.flow) } };
  }
}

/** Several models by the reference. Its tables never fill, so that no packet is without a flow. */
export function createReferenceSetEngine(set: FlowSet): FlowEngine {
  const verdictOf = set.members.map(verdictsIn);
  const classify = (member: number, row: PacketResult['rows'][number]): ClassifiedRow => ({
    ...row,
    ...verdictOf[member]!(row.features),
  });
  return {
    async capture(frames, onPacket) {
      const members = new Members(set);
      let count = 0;
      for (const frame of frames) {
        const { member, result } = members.frame(frame);
        onPacket({ ...result, rows: result.rows.map((row) => classify(member, row)) }, frame);
        if (++count % TURN === 0) await new Promise(setImmediate);
      }
      for (const { member, row } of members.end())
        onPacket({ outcome: 'classified', rows: [classify(member, row)], flow: row.flow }, undefined);
    },
    async close() {},
  };
}

/** The programs of a set in the kernel: the first stands on the interface, and each hands on what is not its own. */
export interface LoadedSet extends Disposable {
  readonly devices: readonly XdpFlowDevice[];
  readonly programs: readonly LoadedProgram[];
}

export interface LoadedProgram {
  readonly plan: XdpFlowPlan;
  readonly device: XdpFlowDevice;
}

/** Compiles and loads all programs of a set. @throws DiagnosticError */
export async function loadXdpSet(
  set: FlowSet,
  o: { readonly test: boolean; readonly acts?: boolean; readonly records?: boolean },
): Promise<LoadedSet> {
  const all = [...set.members, ...(set.collided ? [set.collided] : [])];
  const featureWords = Math.max(...all.map((m) => Math.ceil(m.definition.features.length / 8)));
  const devices: XdpFlowDevice[] = [];
  const programs: LoadedProgram[] = [];
  const close = () => {
    for (const device of devices) device.close();
  };
  try {
    for (const m of all) {
      const perPacket = m === set.collided;
      const when = set.members.find((own) => own === m)?.when;
      const plan = planFlowOrRefuse(
        m.definition,
        m.model,
        {},
        {
          ...(o.records && { records: true }),
          ...(perPacket && { perPacket: true }),
          member: { when, classes: m.classes, featureWords },
        },
      );
      const [share] = devices;
      const device = await loadXdpFlow(plan, { ...o, ...(share && { share }) });
      devices.push(device);
      programs.push({ plan, device });
    }
    const last = set.collided && devices.at(-1);
    for (const [i, device] of devices.slice(0, set.members.length).entries()) {
      const next = i + 1 < set.members.length ? devices[i + 1] : undefined;
      if (next !== undefined) device.handOn('others', next);
      if (last !== undefined) device.handOn('collided', last);
    }
  } catch (error) {
    close();
    throw error;
  }
  return { devices, programs, [Symbol.dispose]: close };
}

/**
 * Several models in the kernel, by test runs, beside the reference: each packet's model, features and verdict; of packets whose flow
 * finds no place the verdict of the model that is for those.
 * @throws DiagnosticError
 */
export async function createXdpSetEngine(set: FlowSet): Promise<FlowEngine> {
  const loaded = await loadXdpSet(set, { test: true });
  const [head] = loaded.devices as readonly [XdpFlowDevice];
  const comparisons = set.members.map((m) => new Comparison(verdictsIn(m)));
  const others = new Comparison(() => ({ class: 0, margin: 0 }));
  const packetVerdict = set.collided && verdictsIn(set.collided);
  return {
    async capture(frames, onPacket) {
      const members = new Members(set);
      const places = new Map<number, FlowPlace>();
      for (const c of [...comparisons, others]) c.begin();
      for (const device of loaded.devices) device.clear();
      let count = 0;
      for (const original of frames) {
        const frame = given(asEthernet(original));
        const { member, result } = members.frame(frame);
        const device = loaded.devices[Math.max(0, member)]!;
        const atEnd = member >= 0 && set.members[member]!.definition.occasion.kind === 'end';
        const found = resultOf(head, device, frame, atEnd && result.flow !== undefined);
        if (atEnd && result.flow !== undefined) places.set(result.flow.number, device.place());
        const comparison = comparisons[member] ?? others;
        onPacket(
          found.outcome === 'collided' && packetVerdict !== undefined
            ? comparison.collided(result, found, packetVerdict(packetFeatures(set.collided!, frame)))
            : comparison.packet(result, found),
          original,
        );
        if (++count % TURN === 0) await new Promise(setImmediate);
      }
      for (const { member, row } of members.end()) {
        const place = places.get(row.flow.number);
        const rows = comparisons[member]!.ended(row, place && loaded.devices[member]!.endPlace(place));
        onPacket({ outcome: 'classified', rows, flow: row.flow }, undefined);
      }
    },
    equality: () => sumOf([...comparisons, others].map((c) => c.equality())),
    async close() {
      loaded[Symbol.dispose]();
    },
  };
}

/** What a model of packets is given of one: as that of a flow that begins with it. */
export const packetFeatures = ({ definition }: SetModel, frame: Frame): Uint8Array =>
  new FeatureExecutor(definition).frame(frame).rows[0]?.features ??
  new Uint8Array(definition.features.length);

function resultOf(head: XdpFlowDevice, own: XdpFlowDevice, frame: Frame, atEnd: boolean): DeviceResult {
  if (frame.data.length < LEAST_FRAME) return { outcome: 'damaged', verdict: undefined, features: undefined };
  const result = head.run(frame.data, frame.timeNs, frame.length);
  return {
    ...result,
    features: result.outcome === 'classified' ? own.features() : undefined,
    gone: atEnd ? own.gone() : undefined,
  };
}

const sumOf = (all: readonly Equality[]): Equality => ({
  packets: all.reduce((sum, e) => sum + e.packets, 0),
  mismatches: all.reduce((sum, e) => sum + e.mismatches, 0),
  examples: all.flatMap((e) => e.examples).slice(0, 5),
});
