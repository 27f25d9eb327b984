import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { insertion } from '../../backends/common/entries.ts';
import { cross, ports } from '../../backends/common/table-model.ts';
import { emitSource, PROGRAM_FILE, v1modelEntries, v1modelP4Info } from '../../backends/v1model/emit.ts';
import type { V1modelPlan } from '../../backends/v1model/plan.ts';
import { refuse } from '../../diagnostics/index.ts';
import type { Update } from '../../p4runtime/index.ts';
import { compileP4Program } from '../../toolchain/p4c.ts';
import { Dataplane } from './dataplane.ts';
import { DEVICE_ID, type RunningSwitch, startSwitch } from './switch.ts';
import { createWorkspace, type Workspace } from './workspace.ts';

/** A switch that runs a plan's program with its entries, and its ports. */
export interface Bmv2Session {
  readonly device: RunningSwitch;
  readonly dataplane: Dataplane;
  close(): Promise<void>;
}

/** Packets come in at one port and leave by the other. */
export const PORT_IN = 1;
/** The port of the switch that answers are read from. */
export const PORT_OUT = 2;

/** The program of the plan in a directory, compiled; the bytes of BMv2's JSON. @throws DiagnosticError */
async function compilePlan(plan: V1modelPlan, directory: string): Promise<Uint8Array> {
  for (const [name, content] of emitSource(plan)) await writeFile(join(directory, name), content);
  const json = join(directory, 'program.json');
  await compileP4Program(join(directory, PROGRAM_FILE), json, plan.model.file);
  return readFile(json);
}

/** Compiles, starts a switch, pushes the program and the entries. @throws DiagnosticError */
export async function openBmv2(plan: V1modelPlan, extra: readonly Update[] = []): Promise<Bmv2Session> {
  const workspace = createWorkspace();
  let device: RunningSwitch | undefined;
  try {
    const json = await compilePlan(plan, workspace.directory);
    device = await startSwitch(workspace);
    await install(device, plan, json, extra);
    return sessionOf(device, workspace);
  } catch (error) {
    await device?.stop();
    workspace.remove();
    throw error;
  }
}

/** A switch that runs its program, and its ports: both are closed together, and the workspace goes. */
export function sessionOf(device: RunningSwitch, workspace: Workspace): Bmv2Session {
  const dataplane = new Dataplane(device.dataplane, DEVICE_ID);
  return {
    device,
    dataplane,
    async close() {
      dataplane.close();
      await device.stop();
      workspace.remove();
    },
  };
}

async function install(
  device: RunningSwitch,
  plan: V1modelPlan,
  json: Uint8Array,
  extra: readonly Update[],
): Promise<void> {
  const wire = insertion({ table: ports, keys: [PORT_IN], action: cross, parameters: [PORT_OUT] });
  try {
    await device.client.pipeline.commit({ p4info: v1modelP4Info(plan), deviceConfig: json });
    await device.client.write([wire, ...v1modelEntries(plan), ...extra]);
  } catch (error) {
    const summary = error instanceof Error ? error.message : String(error);
    refuse('switch-failed', { summary: device.ended() ?? summary }, { file: plan.model.file }, device.log());
  }
}
