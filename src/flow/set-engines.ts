import type { XdpFlowPlan } from '../backends/xdp/flow/plan.ts';
import type { Frame } from '../capture/index.ts';
import type { XdpFlowDevice } from '../devices/xdp-flow.ts';
import { FeatureExecutor, type Flow } from '../features/executor.ts';
import { parsePacket } from '../features/packet.ts';
import { type CaptureFlows, type FlowEngine, referenceEngine, type Verdict, verdicts } from './engine.ts';
import { type FlowSet, memberOf, type SetMember, type SetModel } from './set.ts';
import { testRunEngine } from './test-runs.ts';
import { loadXdpFlow, planFlowOrRefuse } from './xdp.ts';

/** A model's verdicts, with the numbers that its classes have in the set. */
export function verdictsIn({ model, classes }: SetModel): (features: Uint8Array) => Verdict {
  const verdictOf = verdicts(model);
  return (features) => {
    const verdict = verdictOf(features);
    return { ...verdict, class: classes[verdict.class]! };
  };
}

/** The flows of all members, numbered in the order of their first packets. */
function flowsOfSet(set: FlowSet): CaptureFlows {
  const executors = set.members.map((m) => new FeatureExecutor(m.definition));
  const numbers = new Map<string, number>();
  const numbered = <T extends { readonly flow: Flow }>(model: number, of: T): T => {
    const key = `${model} ${of.flow.number}`;
    const number = numbers.get(key) ?? numbers.size + 1;
    numbers.set(key, number);
    return { ...of, flow: { ...of.flow, number } };
  };
  return {
    frame(frame) {
      const packet = parsePacket(frame);
      if (typeof packet === 'string') return { model: -1, result: { outcome: packet, rows: [] } };
      const model = memberOf(set, packet);
      if (model < 0) return { model, result: { outcome: 'foreign', rows: [] } };
      const { flow, ...result } = executors[model]!.frame(frame, packet);
      const rows = result.rows.map((row) => numbered(model, row));
      return { model, result: { ...result, rows, ...(flow && numbered(model, { flow })) } };
    },
    *end() {
      for (const [model, executor] of executors.entries())
        for (const row of executor.end()) yield { model, row: numbered(model, row) };
    },
  };
}

/** Several models by the reference. Its tables never fill, so that no packet is without a flow. */
export const createReferenceSetEngine = (set: FlowSet): FlowEngine =>
  referenceEngine(() => flowsOfSet(set), set.members.map(verdictsIn));

/**
 * The programs of a set in the kernel, of its members and then of packets whose flow finds no place: the first stands on the
 * interface, and each hands on what is not its own.
 */
export interface LoadedSet extends Disposable {
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
  const { members, collided } = set;
  const all: readonly (SetModel & Partial<Pick<SetMember, 'when'>>)[] = [
    ...members,
    ...(collided ? [collided] : []),
  ];
  const featureWords = Math.max(...all.map((m) => Math.ceil(m.definition.features.length / 8)));
  const programs: LoadedProgram[] = [];
  const close = () => {
    for (const { device } of programs) device.close();
  };
  try {
    for (const m of all) {
      const plan = planFlowOrRefuse(
        m.definition,
        m.model,
        {},
        {
          records: o.records ?? false,
          perPacket: m === collided,
          member: { when: m.when, classes: m.classes, featureWords },
        },
      );
      const share = programs[0]?.device;
      const device = await loadXdpFlow(plan, { ...o, ...(share && { share }) });
      programs.push({ plan, device });
    }
    const last = collided && programs.at(-1)!.device;
    for (const [i, { device }] of programs.slice(0, members.length).entries()) {
      if (i + 1 < members.length) device.handOn('others', programs[i + 1]!.device);
      if (last !== undefined) device.handOn('collided', last);
    }
  } catch (error) {
    close();
    throw error;
  }
  return { programs, [Symbol.dispose]: close };
}

/** Several models in the kernel, by test runs, beside the reference. @throws DiagnosticError */
export async function createXdpSetEngine(set: FlowSet): Promise<FlowEngine> {
  const { programs, [Symbol.dispose]: close } = await loadXdpSet(set, { test: true });
  const [first, ...more] = set.members.map((m, i) => ({
    definition: m.definition,
    device: programs[i]!.device,
    verdictOf: verdictsIn(m),
  }));
  return testRunEngine({
    models: [first!, ...more],
    begin: () => flowsOfSet(set),
    collided: set.collided && packetVerdicts(set.collided),
    close,
  });
}

/** A model of packets is given of one what it would be of a flow that begins with it; of one that it does not accept it says nothing. */
function packetVerdicts(of: SetModel): (frame: Frame) => Verdict | undefined {
  const { definition } = of;
  const verdictOf = verdictsIn(of);
  return (frame) => {
    const [row] = new FeatureExecutor(definition).frame(frame).rows;
    return row && verdictOf(row.features);
  };
}
