import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { insertion } from '../backends/common/entries.ts';
import { flowOutcomes } from '../backends/common/flow/outcomes.ts';
import { cross, ports } from '../backends/common/table-model.ts';
import { JSON_FILE } from '../backends/v1model/artifact.ts';
import { PROGRAM_FILE } from '../backends/v1model/emit.ts';
import { FLOW_HEADERS, printFlowProgram } from '../backends/v1model/flow/emit.ts';
import { planV1modelFlow, type V1modelFlowPlan } from '../backends/v1model/flow/plan.ts';
import { flowEntries, flowP4Info, secretEntry } from '../backends/v1model/flow/tables.ts';
import type { Frame } from '../capture/index.ts';
import { jsonText, refuse, throwErrors } from '../diagnostics/index.ts';
import { Dataplane } from '../engines/bmv2-dataplane.ts';
import { exchange } from '../engines/bmv2-exchange.ts';
import { PORT_IN, PORT_OUT } from '../engines/bmv2-session.ts';
import { DEVICE_ID, type RunningSwitch, startSwitch } from '../engines/bmv2-switch.ts';
import { createWorkspace } from '../engines/bmv2-workspace.ts';
import { asEthernet } from '../features/as-ethernet.ts';
import { endsAreTold, type FeatureDefinition } from '../features/definition.ts';
import { FeatureExecutor } from '../features/executor.ts';
import type { Model } from '../model/model.ts';
import { p4InfoText, writeRequestText } from '../p4runtime/text.ts';
import { P4_DIR } from '../paths.ts';
import { temporaryFolder } from '../temporary.ts';
import { compileP4Program } from '../toolchain/p4c.ts';
import { Comparison, type DeviceResult } from './compare.ts';
import { type FlowEngine, verdicts } from './engine.ts';
import type { FlowPipeline, FlowProgramOptions } from './options.ts';

/** Shorter ones are no Ethernet: they are not sent. */
const LEAST_FRAME = 14;

/** What is said of those. */
const DAMAGED: DeviceResult = { outcome: 'damaged', verdict: undefined, features: undefined };

/** Plans the program, or throws what forbids it. @throws DiagnosticError */
function planOrRefuse(
  definition: FeatureDefinition,
  model: Model,
  options?: FlowProgramOptions & { readonly asks?: boolean },
): V1modelFlowPlan {
  const { plan, diagnostics } = planV1modelFlow(definition, model, options);
  throwErrors(diagnostics);
  if (plan === undefined) throw new Error('a refusal without a diagnostic');
  return plan;
}

/** Writes the program and what it includes; compiles it. @returns the path of BMv2's JSON @throws DiagnosticError */
async function build(plan: V1modelFlowPlan, folder: string, test: boolean): Promise<string> {
  writeFileSync(join(folder, PROGRAM_FILE), printFlowProgram(plan, test));
  cpSync(join(P4_DIR, FLOW_HEADERS), join(folder, FLOW_HEADERS));
  const json = join(folder, JSON_FILE);
  await compileP4Program(join(folder, PROGRAM_FILE), json, plan.compute.model.file);
  return json;
}

/** What a controller pushes to a switch, and writes then: the weights. @param asks whether it asks a larger model @throws DiagnosticError */
export async function v1modelFlowPipeline(
  definition: FeatureDefinition,
  model: Model,
  asks = false,
): Promise<FlowPipeline> {
  using folder = temporaryFolder();
  const plan = planOrRefuse(definition, model, { lanes: 'on', weights: 'runtime', asks });
  const json = await build(plan, folder.path, false);
  return {
    config: { p4info: flowP4Info(plan), deviceConfig: readFileSync(json) },
    updates: [...flowEntries(plan), secretEntry(plan)].map(insertion),
  };
}

/**
 * A software switch: each frame is a real packet in and out, and the times that the switch saw are given to the reference,
 * which is compared with what it says of each packet.
 * @param asks whether its program is one that may ask a larger model; nobody is asked
 * @throws DiagnosticError
 */
export async function createBmv2FlowEngine(
  definition: FeatureDefinition,
  model: Model,
  asks = false,
): Promise<FlowEngine> {
  const plan = planOrRefuse(definition, model, { lanes: 'on', weights: 'runtime', asks });
  const comparison = new Comparison(verdicts(model));
  const workspace = createWorkspace();
  let device: RunningSwitch | undefined;
  let dataplane: Dataplane | undefined;
  const close = async (): Promise<void> => {
    dataplane?.close();
    await device?.stop();
    workspace.remove();
  };
  try {
    const json = readFileSync(await build(plan, workspace.directory, true));
    device = await startSwitch(workspace);
    await install(device, plan, json);
    dataplane = new Dataplane(device.dataplane, DEVICE_ID);
    const session = { device, dataplane, close };
    let isFresh = true;
    return {
      async capture(frames, onPacket) {
        // Registers are no business of P4Runtime's: a new pipeline has empty ones.
        if (!isFresh) await install(session.device, plan, json);
        isFresh = false;
        comparison.begin();
        const executor = new FeatureExecutor(definition);
        const all = [...frames].map((original) => ({ original, frame: whole(asEthernet(original)) }));
        let next = 0;
        const short = (): void => {
          // What is too short to be sent has its turn when those before it are back.
          for (; next < all.length && all[next]!.frame.data.length < LEAST_FRAME; next++) {
            const { original, frame } = all[next]!;
            onPacket(comparison.packet(executor.frame(frame), DAMAGED), original);
          }
        };
        const sent = all.filter(({ frame }) => frame.data.length >= LEAST_FRAME);
        await exchange(session, {
          count: sent.length,
          file: model.file,
          frame: (i) => sent[i]!.frame.data,
          receive({ packet }) {
            short();
            const { original, frame } = all[next++]!;
            const { timeNs, ...result } = decodeReport(packet, frame, definition, model.file);
            onPacket(comparison.packet(executor.frame({ ...frame, timeNs }), result), original);
          },
        });
        short();
      },
      equality: () => comparison.equality(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The frame as long as it was on the wire: what was not captured is zeros. */
function whole(frame: Frame): Frame {
  if (frame.data.length === frame.length || frame.data.length < LEAST_FRAME) return frame;
  const data = new Uint8Array(frame.length);
  data.set(frame.data);
  return { ...frame, data };
}

async function install(device: RunningSwitch, plan: V1modelFlowPlan, json: Uint8Array): Promise<void> {
  const wire = { table: ports, keys: [PORT_IN], action: cross, parameters: [PORT_OUT] };
  const { file } = plan.compute.model;
  try {
    await device.client.pipeline.commit({ p4info: flowP4Info(plan), deviceConfig: json });
    await device.client.write([wire, ...flowEntries(plan), secretEntry(plan)].map(insertion));
  } catch (error) {
    const summary = error instanceof Error ? error.message : String(error);
    refuse('switch-failed', { summary: device.ended() ?? summary }, { file }, device.log());
  }
}

/** The report in front of a frame that has been through: 48 bits of time, outcome, verdict, features. */
function decodeReport(
  packet: Uint8Array,
  frame: Frame,
  definition: FeatureDefinition,
  file: string,
): DeviceResult & { readonly timeNs: bigint } {
  const features = definition.features.length;
  const atEnd = endsAreTold(definition);
  const view = Buffer.from(packet.buffer, packet.byteOffset, packet.length);
  const own = 10 + features;
  const head = atEnd ? own + 3 + features : own;
  const outcome = flowOutcomes[view[6] ?? 255]?.name;
  // It passes on as it came: no byte of it is changed.
  if (outcome === undefined || Buffer.compare(view.subarray(head), frame.data) !== 0)
    return refuse(
      'switch-failed',
      { summary: 'a frame came back that is not the one that was sent' },
      { file },
    );
  return {
    timeNs: BigInt(view.readUIntBE(0, 6)) * 1000n,
    outcome,
    verdict: view[7] === 1 ? { margin: view[8]!, class: view[9]! } : undefined,
    features: outcome === 'classified' ? Uint8Array.from(view.subarray(10, own)) : undefined,
    gone:
      atEnd && view[own] === 1
        ? {
            verdict: { class: view[own + 1]!, margin: view[own + 2]! },
            features: Uint8Array.from(view.subarray(own + 3, head)),
          }
        : undefined,
  };
}

/** The program with what it includes, P4Info, entries and manifest. @returns names of the files @throws DiagnosticError */
export async function writeV1modelFlow(
  definition: FeatureDefinition,
  model: Model,
  folder: string,
  options: FlowProgramOptions,
  compile: boolean,
): Promise<readonly string[]> {
  const plan = planOrRefuse(definition, model, options);
  const manifest = {
    format: 'intransit-flow-manifest/1',
    target: 'v1model',
    model: { name: model.name, layerCount: model.layers.length },
    features: { definition: definition.name, names: definition.features.map((f) => f.name), clockNs: 1000 },
    table: { flows: definition.table.flows, places: 2, keep: definition.table.keep },
    outcomes: flowOutcomes.map((o) => o.name),
    program: { source: PROGRAM_FILE, json: JSON_FILE, p4info: 'p4info.txt' },
    weights: { mode: options.weights, entries: 'entries.txt' },
  };
  const files = new Map<string, string>([
    [PROGRAM_FILE, printFlowProgram(plan)],
    [FLOW_HEADERS, readFileSync(join(P4_DIR, FLOW_HEADERS), 'utf8')],
    ['p4info.txt', p4InfoText(flowP4Info(plan))],
    ['entries.txt', writeRequestText(flowEntries(plan).map(insertion))],
    ['manifest.json', jsonText(manifest)],
  ]);
  for (const [name, content] of files) writeFileSync(join(folder, name), content);
  if (!compile) return [...files.keys()];
  await compileP4Program(join(folder, PROGRAM_FILE), join(folder, JSON_FILE), model.file);
  return [...files.keys(), JSON_FILE];
}
