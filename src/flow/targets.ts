import { refuse, throwErrors } from '../diagnostics/index.ts';
import type { FeatureDefinition } from '../features/definition.ts';
import type { Model } from '../model/model.ts';
import { insertion } from '../p4runtime/index.ts';
import type { FlowDeviceProgram } from '../targets/target.ts';
import { v1modelFlows } from '../targets/v1model/flows.ts';
import { tablesOf, v1modelOwn } from '../targets/v1model/own.ts';
import { xdpFlows } from '../targets/xdp/flows.ts';
import { temporaryFolder } from '../temporary.ts';
import { createBmv2FlowEngine, createBmv2SetEngine } from './bmv2.ts';
import { switchPipeline, switchSetProgram, writeV1modelFlow } from './bmv2-program.ts';
import { createReferenceFlowEngine, type FlowEngine } from './engine.ts';
import type { Escalation } from './escalation.ts';
import type { FlowPipeline, FlowProgramOptions, WriteProgram } from './options.ts';
import type { FlowSet } from './set.ts';
import { createXdpSetEngine, xdpSetPipeline } from './set-engines.ts';
import { createReferenceSetEngine } from './set-reference.ts';
import { writeTnaFlow } from './tna.ts';
import { createXdpFlowEngine, writeXdpFlow } from './xdp.ts';

type CreateEngine = (
  definition: FeatureDefinition,
  model: Model,
  escalation?: Escalation,
  options?: Pick<FlowProgramOptions, 'own' | 'tell'>,
) => Promise<FlowEngine>;

/** What classifies flows on this machine, by its name for `--on`. */
export const flowEngines: Readonly<Record<string, CreateEngine>> = {
  reference: async (definition, model, escalation) =>
    createReferenceFlowEngine(definition, model, escalation),
  xdp: createXdpFlowEngine,
  async bmv2(definition, model, _, { own = {}, tell } = {}) {
    const { options, diagnostics } = tablesOf(model, {}, v1modelOwn.parse(own));
    throwErrors(diagnostics);
    tell?.(diagnostics);
    return createBmv2FlowEngine(definition, model, options);
  },
};

/** The same of several models beside each other. */
export const setEngines: Readonly<Record<string, (set: FlowSet) => Promise<FlowEngine>>> = {
  reference: async (set) => createReferenceSetEngine(set),
  xdp: createXdpSetEngine,
  bmv2: createBmv2SetEngine,
};

/** @param asks whether the device is to ask a larger model: a switch is another program then */
type MakePipeline = (definition: FeatureDefinition, model: Model, asks?: boolean) => Promise<FlowPipeline>;

/** What is pushed, and written then: the weights, and what is drawn for the device. @throws DiagnosticError, BpfError */
async function pipelineOf(program: FlowDeviceProgram): Promise<FlowPipeline> {
  using folder = temporaryFolder();
  const deviceConfig = await program.build(folder.path);
  const entities = [...program.weights(0), ...program.drawn([])];
  return { config: { p4info: program.p4info(), deviceConfig }, updates: entities.map(insertion) };
}

/** What devices of P4Runtime are pushed, by the name of their kind for `--on`. */
export const flowPipelines: Readonly<Record<string, MakePipeline>> = {
  xdp: (definition, model) => pipelineOf(xdpFlows(definition, model)),
  bmv2: (definition, model, asks) => pipelineOf(v1modelFlows(definition, model, asks)),
};

/** The same of several models beside each other. */
export const setPipelines: Readonly<Record<string, (set: FlowSet) => Promise<FlowPipeline>>> = {
  xdp: xdpSetPipeline,
  bmv2: (set) => switchPipeline(switchSetProgram(set)),
};

/** What programs of flows are written for, by the target's name. */
const flowPrograms: Readonly<Record<string, WriteProgram>> = {
  xdp: writeXdpFlow,
  v1model: writeV1modelFlow,
  tna: writeTnaFlow,
};

/**
 * Writes the files of a program that classifies flows into a folder, and compiles them unless told otherwise.
 * @returns names of all files
 * @throws DiagnosticError
 */
export async function writeFlowProgram(
  target: string,
  definition: FeatureDefinition,
  model: Model,
  folder: string,
  options: FlowProgramOptions,
  build: boolean,
): Promise<readonly string[]> {
  const write = flowPrograms[target];
  if (write === undefined)
    return refuse('flow-no-target', { target, known: Object.keys(flowPrograms) }, { file: definition.file });
  return [...(await write(definition, model, folder, options, build))].sort();
}
