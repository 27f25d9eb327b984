import { readFile } from 'node:fs/promises';
import { insertion } from '../backends/common/entries.ts';
import { encodeFlowSetConfig } from '../backends/xdp/device-config.ts';
import { weightEntries } from '../backends/xdp/entries.ts';
import { xdpFlowSetP4InfoOf } from '../backends/xdp/flow/artifact.ts';
import { emitXdpFlow } from '../backends/xdp/flow/emit.ts';
import type { XdpFlowPlan } from '../backends/xdp/flow/plan.ts';
import { weightsLayout } from '../backends/xdp/p4info.ts';
import type { XdpOptions } from '../backends/xdp/plan.ts';
import { firstSlotOf } from '../dataplane/abi.ts';
import { buildXdp } from '../runtime/xdp/engine.ts';
import type { XdpFlowDevice } from '../runtime/xdp/flow-device.ts';
import { planFlowOrRefuse } from '../targets/xdp/flows.ts';
import { temporaryFolder } from '../temporary.ts';
import type { FlowEngine } from './engine.ts';
import type { FlowPipeline } from './options.ts';
import { type FlowSet, modelsOf, mostFeaturesOf } from './set.ts';
import { flowsOfSet, packetVerdicts, verdictsIn } from './set-reference.ts';
import { testRunEngine } from './test-runs.ts';
import { loadXdpFlow } from './xdp.ts';

/**
 * The programs of a set in the kernel, of its members and then of packets whose flow finds no place: the first stands on the
 * interface, and each hands on what is not its own.
 */
export interface LoadedSet extends Disposable {
  readonly programs: readonly LoadedProgram[];
}

/** One model of the set in the kernel. */
export interface LoadedProgram {
  readonly plan: XdpFlowPlan;
  readonly device: XdpFlowDevice;
}

/** All programs of a set, that of packets last. @param records whether flows are to be read out of the tables @throws DiagnosticError */
function plansOf(set: FlowSet, options: XdpOptions, records: boolean): XdpFlowPlan[] {
  const featureWords = Math.ceil(mostFeaturesOf(set) / 8);
  return modelsOf(set).map((m) =>
    planFlowOrRefuse(m.definition, m.model, options, {
      records,
      perPacket: m === set.collided,
      member: { when: m.when, classes: m.classes, featureWords },
    }),
  );
}

/** Compiles and loads all programs of a set. @throws DiagnosticError */
export async function loadXdpSet(
  set: FlowSet,
  o: { readonly test: boolean; readonly acts?: boolean; readonly records?: boolean },
): Promise<LoadedSet> {
  const { members, collided } = set;
  const programs: LoadedProgram[] = [];
  const close = () => {
    for (const { device } of programs) device.close();
  };
  try {
    for (const plan of plansOf(set, {}, o.records ?? false)) {
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

/** What a controller pushes to a host with an agent, and writes then: the weights. @throws DiagnosticError */
export async function xdpSetPipeline(set: FlowSet): Promise<FlowPipeline> {
  const models: { readonly plan: XdpFlowPlan; readonly elf: Uint8Array }[] = [];
  for (const plan of plansOf(set, { weights: 'runtime' }, false)) {
    using folder = temporaryFolder();
    models.push({ plan, elf: await readFile(await buildXdp(emitXdpFlow(plan), folder.path)) });
  }
  const packets = set.collided !== undefined;
  const layers = models.map(({ plan }) => weightsLayout(plan.compute));
  return {
    config: {
      p4info: xdpFlowSetP4InfoOf(layers, mostFeaturesOf(set), packets),
      deviceConfig: encodeFlowSetConfig(models, packets),
    },
    updates: models.flatMap(({ plan }, m) => weightEntries(plan.compute, firstSlotOf(m)).map(insertion)),
  };
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
