import { join } from 'node:path';
import type { DeployError, DeploymentInput, DeviceReport } from '../../src/controller/index.ts';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { type Change, Fault, MemoryDevice, P4RuntimeServer } from '../../src/p4runtime/index.ts';
import { Dataplane } from '../../src/runtime/bmv2/dataplane.ts';
import { type RunningSwitch, startSwitch } from '../../src/runtime/bmv2/switch.ts';
import { createWorkspace } from '../../src/runtime/bmv2/workspace.ts';
import { failureOf as failed } from '../support/failure.ts';

/** A switch in a deployment, of which packets of port 1 leave by port 2. */
export const switchSpec = (
  name: string,
  address: string,
  layers: string,
): DeploymentInput['devices'][number] => ({
  name,
  kind: 'v1model',
  address,
  layers,
  ports: [{ ingress: 1, egress: 2 }],
});

/** A software switch without a program. */
export interface TestSwitch {
  readonly device: RunningSwitch;
  readonly address: string;
  readonly dataplane: Dataplane;
  close(): Promise<void>;
}

/** A switch without a program, and without a controller. */
export async function testSwitch(): Promise<TestSwitch> {
  const workspace = createWorkspace();
  const device = await startSwitch(workspace);
  // Its own session would be the primary.
  device.client.close();
  let dataplane: Dataplane | undefined;
  return {
    device,
    address: `unix:${join(workspace.directory, 'p4runtime.sock')}`,
    // The stream is served once there is a program.
    get dataplane() {
      dataplane ??= new Dataplane(device.dataplane, 1);
      return dataplane;
    },
    async close() {
      dataplane?.close();
      await device.stop();
      workspace.remove();
    },
  };
}

/** A device without a data plane that refuses what it is told to. */
export class FaultyDevice extends MemoryDevice {
  refuses: (change: Change) => boolean = () => false;

  override apply(change: Change): void {
    if (this.refuses(change)) throw new Fault(13, 'refused by the test');
    super.apply(change);
  }
}

export interface MemoryNode {
  readonly device: FaultyDevice;
  readonly server: P4RuntimeServer;
  readonly address: string;
  /** Changes and pipelines since the last call. */
  writes(): number;
}

export async function memoryNode(): Promise<MemoryNode> {
  const device = new FaultyDevice();
  const server = new P4RuntimeServer();
  server.addDevice(device, { deviceId: 1n });
  const address = await server.listen({ address: '127.0.0.1:0' });
  let seen = 0;
  return {
    device,
    server,
    address,
    writes() {
      const all = device.applied.length + device.commits;
      const since = all - seen;
      seen = all;
      return since;
    },
  };
}

/** The diagnostics by which something failed. */
export const failureOf = (work: Promise<unknown>): Promise<DeployError | DiagnosticError> =>
  failed(work, DiagnosticError);

export const codes = (error: DiagnosticError): string[] => error.diagnostics.map((d) => d.code);

/** `step outcome` of each step of a device. */
export const stepsOf = (devices: readonly DeviceReport[], name: string): string[] =>
  devices.find((d) => d.name === name)!.steps.map((s) => `${s.step} ${s.outcome}`);
