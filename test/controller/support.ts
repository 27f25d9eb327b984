import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { DeployError, DeploymentInput, DeviceReport } from '../../src/controller/index.ts';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { Dataplane } from '../../src/engines/bmv2-dataplane.ts';
import { type RunningSwitch, startSwitch } from '../../src/engines/bmv2-switch.ts';
import { createWorkspace } from '../../src/engines/bmv2-workspace.ts';
import { importModel } from '../../src/import/index.ts';
import { exportJson } from '../../src/import/json/export.ts';
import { importJson } from '../../src/import/json/index.ts';
import type { Model } from '../../src/model/model.ts';
import { type Change, Fault, MemoryDevice, P4RuntimeServer } from '../../src/p4runtime/index.ts';
import { random } from '../support/random.ts';

export { smallModel } from './small-model.ts';

export const example = (name: string): string => resolve(import.meta.dirname, '../../examples', name);

export const exampleModel = async (name = 'digits-mlp.onnx'): Promise<Model> =>
  (await importModel(example(name))).model;

/**
 * Another training of the same shape, as far as a program is concerned: some weights are a little smaller, so that every
 * sum still fits the lanes that the first one needed.
 */
export function retrained(model: Model, seed: number): Model {
  const r = random(seed);
  return {
    ...model,
    layers: model.layers.map((layer) => {
      if (layer.kind !== 'dense' && layer.kind !== 'conv2d') return layer;
      const weights = layer.weights.map((w) =>
        r.chance(0.3) ? w - Math.sign(w) * Math.min(Math.abs(w), r.int(0, 40)) : w,
      );
      return { ...layer, weights };
    }),
  };
}

/** A model file in a folder. */
export function writeModel(folder: string, name: string, model: Model): string {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(exportJson(model)));
  return file;
}

export function writeDeployment(
  folder: string,
  deployment: Omit<DeploymentInput, 'format' | 'version'>,
  name = 'deployment.json',
): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name);
  writeFileSync(
    file,
    JSON.stringify({ format: 'intransit-deployment', version: 1, drainMs: 50, ...deployment }),
  );
  return file;
}

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
export async function failureOf(work: Promise<unknown>): Promise<DeployError | DiagnosticError> {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (error instanceof DiagnosticError) return error;
  throw error ?? new Error('expected a failure');
}

export const codes = (error: DiagnosticError): string[] => error.diagnostics.map((d) => d.code);

/** `step outcome` of each step of a device. */
export const stepsOf = (devices: readonly DeviceReport[], name: string): string[] =>
  devices.find((d) => d.name === name)!.steps.map((s) => `${s.step} ${s.outcome}`);

/** The model with a verdict behind it. */
export function withVerdict(model: Model): Model {
  const json = exportJson(model);
  return importJson(
    JSON.stringify({ ...json, layers: [...json.layers, { kind: 'argmax', name: 'verdict' }] }),
    'v.json',
  ).model;
}
