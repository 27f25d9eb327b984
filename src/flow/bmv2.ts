import { readFileSync } from 'node:fs';
import { insertion } from '../backends/common/entries.ts';
import { flowOutcomes } from '../backends/common/flow/outcomes.ts';
import { cross, ports } from '../backends/common/table-model.ts';
import type { FlowPlanOptions } from '../backends/v1model/flow/plan.ts';
import type { Frame } from '../capture/index.ts';
import { refuse } from '../diagnostics/index.ts';
import { asEthernet } from '../features/as-ethernet.ts';
import { endsAreTold, type FeatureDefinition } from '../features/definition.ts';
import type { Model } from '../model/model.ts';
import { answerTables } from '../passes/tables/interpret.ts';
import type { TableProgram } from '../passes/tables/program.ts';
import { exchange } from '../runtime/bmv2/exchange.ts';
import { PORT_IN, PORT_OUT, sessionOf } from '../runtime/bmv2/session.ts';
import { type RunningSwitch, startSwitch } from '../runtime/bmv2/switch.ts';
import { createWorkspace } from '../runtime/bmv2/workspace.ts';
import { buildSwitchProgram, type SwitchProgram, switchProgram, switchSetProgram } from './bmv2-program.ts';
import { type ComparedModel, Comparison, changesFlow, type DeviceResult } from './compare.ts';
import { type CaptureFlows, type FlowEngine, flowsOf, type Verdict, verdicts } from './engine.ts';
import type { FlowSet } from './set.ts';
import { flowsOfSet, packetVerdicts, verdictsIn } from './set-reference.ts';

/** Shorter ones are no Ethernet: they are not sent. */
const LEAST_FRAME = 14;

/** What is said of those. */
const DAMAGED: DeviceResult = { outcome: 'damaged', verdict: undefined, features: undefined };

/** What of a program is needed to run it beside the reference. */
interface TestedProgram {
  readonly program: SwitchProgram;
  readonly models: readonly ComparedModel[];
  /** Called for each capture. */
  readonly begin: () => CaptureFlows;
  /** The verdict on a packet whose flow finds no place, where a model is for such. */
  readonly collided?: ((frame: Frame) => Verdict | undefined) | undefined;
  /** Whether reports say which model it was. */
  readonly several: boolean;
}

/**
 * A software switch: each frame is a real packet in and out, and the times that the switch saw are given to the reference,
 * which is compared with what it says of each packet.
 * @param options of its program: it may be one that asks a larger model, though nobody is asked, or one of look-ups, whose own
 * reference it is compared with
 * @throws DiagnosticError
 */
export const createBmv2FlowEngine = (
  definition: FeatureDefinition,
  model: Model,
  options: FlowPlanOptions = {},
): Promise<FlowEngine> =>
  switchEngine({
    program: switchProgram(definition, model, options),
    models: [
      {
        definition,
        verdictOf: options.tables === undefined ? verdicts(model) : tableVerdicts(options.tables),
      },
    ],
    begin: () => flowsOf(definition),
    several: false,
  });

/** What an approximated network says of a row of features. */
const tableVerdicts =
  (program: TableProgram) =>
  (features: Uint8Array): Verdict => {
    const [index, margin] = answerTables(program, features) as unknown as [number, number];
    return { class: index, margin };
  };

/** The same of several models. @throws DiagnosticError */
export const createBmv2SetEngine = async (set: FlowSet): Promise<FlowEngine> =>
  switchEngine({
    program: switchSetProgram(set),
    models: set.members.map((m) => ({ definition: m.definition, verdictOf: verdictsIn(m) })),
    begin: () => flowsOfSet(set),
    collided: set.collided && packetVerdicts(set.collided),
    several: true,
  });

// Long: one engine, whose steps share the switch and the comparison.
async function switchEngine(tested: TestedProgram): Promise<FlowEngine> {
  const { program, models, collided } = tested;
  const comparison = new Comparison(models);
  const layout = layoutOf(tested);
  const workspace = createWorkspace();
  let device: RunningSwitch | undefined;
  try {
    const json = readFileSync(await buildSwitchProgram(program, workspace.directory, true));
    device = await startSwitch(workspace);
    await install(device, program, json);
    const session = sessionOf(device, workspace);
    let isFresh = true;
    return {
      async capture(frames, onPacket) {
        // Registers are no business of P4Runtime's: a new pipeline has empty ones.
        if (!isFresh) await install(session.device, program, json);
        isFresh = false;
        const flows = tested.begin();
        comparison.begin(flows);
        const all = [...frames].map((original) => ({ original, frame: whole(asEthernet(original)) }));
        let next = 0;
        const short = (): void => {
          // What is too short to be sent has its turn when those before it are back.
          for (; next < all.length && all[next]!.frame.data.length < LEAST_FRAME; next++) {
            const { original, frame } = all[next]!;
            onPacket(comparison.packet(flows.frame(frame).result, DAMAGED), original);
          }
        };
        const sent = all.filter(({ frame }) => frame.data.length >= LEAST_FRAME);
        await exchange(session, {
          count: sent.length,
          file: program.file,
          frame: (i) => sent[i]!.frame.data,
          receive({ packet }) {
            short();
            const { original, frame } = all[next++]!;
            const { timeNs, ...found } = decodeReport(packet, frame, layout, program.file);
            const { model, result } = flows.frame({ ...frame, timeNs });
            const device = ofModel(found, models[model]?.definition);
            onPacket(
              comparison.packet(result, device, model, () => collided?.(frame)),
              original,
            );
          },
        });
        short();
      },
      equality: () => comparison.equality(),
      close: () => session.close(),
    };
  } catch (error) {
    await device?.stop();
    workspace.remove();
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

async function install(device: RunningSwitch, program: SwitchProgram, json: Uint8Array): Promise<void> {
  const wire = { table: ports, keys: [PORT_IN], action: cross, parameters: [PORT_OUT] };
  const { file, p4info } = program;
  try {
    await device.client.pipeline.commit({ p4info, deviceConfig: json });
    await device.client.write([wire, ...program.entries()].map(insertion));
  } catch (error) {
    const summary = error instanceof Error ? error.message : String(error);
    refuse('switch-failed', { summary: device.ended() ?? summary }, { file }, device.log());
  }
}

/** Where the parts of a report are: bytes. */
interface ReportLayout {
  /** The most features of a model. */
  readonly features: number;
  /** Of the byte that says which model it was. */
  readonly model: number | undefined;
  /** Of what is told of a flow that the packet found over. */
  readonly gone: number | undefined;
  readonly size: number;
}

/** Time, outcome, whether there is a verdict, margin, class, and the place of the flow. */
const REPORT_HEAD = 15;
const PLACE_AT = 10;
const PLACE_BYTES = 5;

function layoutOf({ program, models, several }: TestedProgram): ReportLayout {
  const { mostFeatures: features } = program;
  const model = several ? REPORT_HEAD + features : undefined;
  const end = REPORT_HEAD + features + (several ? 1 : 0);
  const atEnd = models.some((m) => endsAreTold(m.definition));
  return { features, model, gone: atEnd ? end : undefined, size: atEnd ? end + 3 + features : end };
}

type Report = DeviceResult & { readonly timeNs: bigint };

/** The report in front of a frame that has been through. */
function decodeReport(packet: Uint8Array, frame: Frame, layout: ReportLayout, file: string): Report {
  const { features, model, gone, size } = layout;
  const view = Buffer.from(packet.buffer, packet.byteOffset, packet.length);
  const outcome = flowOutcomes[view[6] ?? 255]?.name;
  // It passes on as it came: no byte of it is changed.
  if (outcome === undefined || Buffer.compare(view.subarray(size), frame.data) !== 0)
    return refuse(
      'switch-failed',
      { summary: 'a frame came back that is not the one that was sent' },
      { file },
    );
  const bytes = (at: number) => Uint8Array.from(view.subarray(at, at + features));
  return {
    timeNs: BigInt(view.readUIntBE(0, 6)) * 1000n,
    outcome,
    verdict: view[7] === 1 ? { margin: view[8]!, class: view[9]! } : undefined,
    features: outcome === 'classified' ? bytes(REPORT_HEAD) : undefined,
    place: changesFlow(outcome) ? String(view.readUIntBE(PLACE_AT, PLACE_BYTES)) : undefined,
    ...(model !== undefined && { model: view[model]! }),
    gone:
      gone !== undefined && view[gone] === 1
        ? { verdict: { class: view[gone + 1]!, margin: view[gone + 2]! }, features: bytes(gone + 3) }
        : undefined,
  };
}

/** Reports have as many features as any model; of a packet there are those of its own. */
function ofModel(result: DeviceResult, definition: FeatureDefinition | undefined): DeviceResult {
  const count = definition?.features.length;
  return {
    ...result,
    features: result.features?.slice(0, count),
    gone: result.gone && { ...result.gone, features: result.gone.features.slice(0, count) },
  };
}
