import type { XdpFlowPlan } from '../backends/xdp/flow/plan.ts';
import type { XdpFlowDevice } from '../devices/xdp-flow.ts';
import type { FlowEngine } from './engine.ts';
import type { FlowSet, SetMember, SetModel } from './set.ts';
import { flowsOfSet, packetVerdicts, verdictsIn } from './set-reference.ts';
import { testRunEngine } from './test-runs.ts';
import { loadXdpFlow, planFlowOrRefuse } from './xdp.ts';

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
