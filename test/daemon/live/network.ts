/**
 * A network of real parts: a host that sends, three devices and two workers, each in a namespace of its own, and two controllers on one
 * etcd. Device d1 is in the middle and computes the first layer; d2, a BMv2 where there is one, and d3 stand beside it, and one of them
 * computes the second; the workers compute the last.
 */

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeAgent } from '../../../src/agent/index.ts';
import { importModel } from '../../../src/import/index.ts';
import { interpretRows } from '../../../src/reference/interpreter.ts';
import { switchCommand } from '../../../src/runtime/bmv2/command.ts';
import { findTool } from '../../../src/toolchain/find-tool.ts';
import { P4C, SWITCH } from '../../../src/toolchain/p4c.ts';
import { retrained, writeModel } from '../../controller/files.ts';
import { type RunningEtcd, startEtcd } from '../../support/etcd.ts';
import { Controller, manifest } from './controller.ts';
import type { JobsReport, JobsTask } from './jobs.ts';
import { Program } from './processes.ts';
import { toldBy } from './told.ts';
import { Wires } from './wires.ts';

export const SERVICE = 's';
const MODEL = 5;
const EXAMPLE = resolve(import.meta.dirname, '../../../examples/traffic-mlp');

/** Versions that come while jobs do. */
const OTHER_VERSIONS = [2, 3] as const;
const fileOf = (version: number): string => `m-${version}.json`;

type DeviceName = 'd1' | 'd2' | 'd3';
type WorkerName = 'w1' | 'w2';
const WORKERS: readonly WorkerName[] = ['w1', 'w2'];

export const layers = [
  { layers: '0..1', nodes: ['d1'] },
  { layers: '1..2', nodes: ['d2', 'd3'] },
  { layers: '2..3', nodes: WORKERS },
];

/** The service that jobs ask for. */
export const serviceManifest = (more: object = {}): object =>
  manifest('Service', SERVICE, { model: 'm', ingress: 'd1', policy: { layers }, ...more });

const EDGE_IP = '10.77.0.1';
const ipOf = (worker: WorkerName): string => `10.77.0.1${worker.at(1)}`;
/** Interface `name` in the namespace of a role. */
const macOf = (role: string, name: string): string => {
  const roles = ['e', 'd1', 'd2', 'd3', 'w1', 'w2'];
  return `02:00:00:77:0${roles.indexOf(role)}:0${name.at(-1)}`;
};

/** Wires of d1 by its ports. */
const PORTS = [
  { port: 1, to: 'e', at: 'h0' },
  { port: 2, to: 'd2', at: 'eth1' },
  { port: 3, to: 'd3', at: 'eth1' },
  { port: 4, to: 'w1', at: 'h0' },
  { port: 5, to: 'w2', at: 'h0' },
] as const;

/** Whether one of the devices is a BMv2. */
export const hasBmv2 = [P4C, SWITCH].every((tool) => findTool(tool) !== undefined);

export interface LiveOptions {
  /** Files of the scene; whoever asks for it removes it. */
  readonly folder: string;
  /** What runs the command line. */
  readonly intransit: readonly string[];
  readonly perSecond: number;
}

export class LiveNetwork {
  readonly #o: LiveOptions;
  readonly #wires = new Wires();
  readonly #programs: Program[] = [];
  readonly #devices = new Map<DeviceName, Program>();
  readonly controllers: Controller[] = [];
  readonly #expected: Record<number, string> = { 1: `${EXAMPLE}.ort.bin` };
  etcd!: RunningEtcd;
  #jobs: Program | undefined;

  private constructor(options: LiveOptions) {
    this.#o = options;
  }

  static async lay(options: LiveOptions): Promise<LiveNetwork> {
    const network = new LiveNetwork(options);
    try {
      await network.#begin();
    } catch (error) {
      await network.close();
      throw error;
    }
    return network;
  }

  async #begin(): Promise<void> {
    for (const { port, to, at } of PORTS) {
      const address = to === 'e' ? EDGE_IP : to === 'w1' || to === 'w2' ? ipOf(to) : undefined;
      this.#wires.join(
        { in: 'd1', name: `eth${port}`, mac: macOf('d1', `eth${port}`) },
        { in: to, name: at, mac: macOf(to, at), ...(address !== undefined && { ip: address }) },
      );
    }
    for (const worker of WORKERS) {
      this.#wires.neighbour('e', 'h0', ipOf(worker), macOf('d1', 'eth1'));
      this.#wires.neighbour(worker, 'h0', EDGE_IP, macOf('d1', worker === 'w1' ? 'eth4' : 'eth5'));
    }
    for (const version of OTHER_VERSIONS) await this.#train(version);
    this.etcd = await startEtcd(this.#o.folder);
    await Promise.all([
      ...(['d1', 'd2', 'd3'] as const).map((d) => this.start(d)),
      ...WORKERS.map((w) => this.#startWorker(w)),
      this.startController(),
    ]);
  }

  /** A device of BMv2 forgets everything when it ends; what an agent has loaded stays in the kernel. */
  isBmv2(device: DeviceName): boolean {
    return device === 'd2' && hasBmv2;
  }

  async start(device: DeviceName): Promise<void> {
    const namespace = this.#wires.namespace(device);
    const ports = device === 'd1' ? PORTS.map((p) => p.port) : [1];
    const socket = this.#socket(device);
    if (this.isBmv2(device)) {
      rmSync(socket, { force: true });
      const interfaces = ports.flatMap((port) => ['-i', `${port}@eth${port}`]);
      const options = ['--no-p4', '--device-id', '1', '-L', 'off', ...interfaces];
      const command = switchCommand(options, ['--grpc-server-addr', `unix:${socket}`]);
      this.#keep(device, new Program(command, { namespace }));
      return;
    }
    this.#wires.set(device, 'eth1', 'up');
    const interfaces = ports.flatMap((port) => ['--interface', `eth${port}=${port}`]);
    const identity = ['--name', this.#agentName(device), '--device-id', '1', '--listen', `unix:${socket}`];
    const where = ['--netns', namespace, '--state', join(this.#o.folder, `${device}.state`), '--json'];
    const agent = new Program([...this.#o.intransit, 'agent', ...identity, ...where, ...interfaces]);
    this.#keep(device, agent);
    await agent.line();
  }

  #keep(device: DeviceName, program: Program): void {
    this.#programs.push(program);
    this.#devices.set(device, program);
  }

  /** From one instruction to the next: the process is gone, and nothing goes through. */
  async die(device: DeviceName): Promise<void> {
    if (!this.isBmv2(device)) this.#wires.set(device, 'eth1', 'down');
    await this.#devices.get(device)!.kill();
  }

  #socket(of: string): string {
    return join(this.#o.folder, `${of}.sock`);
  }

  /** Control door of a worker. */
  doorOf(worker: WorkerName): string {
    return `unix:${this.#socket(worker)}`;
  }

  #agentName(device: DeviceName): string {
    return `test-${this.#wires.label}-${device}`;
  }

  async #startWorker(worker: WorkerName): Promise<void> {
    const door = ['--control', this.doorOf(worker), '--listen', `${ipOf(worker)}:18858`];
    // In small batches it computes less than can be asked of it.
    const engine = ['--on', 'reference', '--batch', '4'];
    const command = [...this.#o.intransit, 'worker', ...door, ...engine, '--json'];
    const program = new Program(command, { namespace: this.#wires.namespace(worker) });
    this.#programs.push(program);
    await program.line();
  }

  async startController(): Promise<Controller> {
    const { intransit, folder } = this.#o;
    const name = `c${this.controllers.length}`;
    const made = await Controller.start(intransit, folder, name, `etcd:${this.etcd.place}`);
    this.controllers.push(made);
    return made;
  }

  /** Makes other weights for the model of the service, and what is right by them. */
  async #train(version: number): Promise<void> {
    const first = (await importModel(`${EXAMPLE}.onnx`)).model;
    const model = retrained(first, version);
    writeModel(this.#o.folder, fileOf(version), model);
    const answers = join(this.#o.folder, `m-${version}.bin`);
    writeFileSync(answers, interpretRows(model, readFileSync(`${EXAMPLE}.x.bin`)));
    this.#expected[version] = answers;
  }

  /** Hands a version over that jobs know of. */
  async addVersion(by: Controller, version: number): Promise<void> {
    const name = fileOf(version);
    const digest = await by.client.sendFile(readFileSync(join(this.#o.folder, name)));
    await by.apply(
      manifest('ModelVersion', `m-${version}`, { model: 'm', version, source: { name, digest } }),
    );
  }

  /** Describes the network to a controller, and waits until all is as described. */
  async describe(by: Controller): Promise<void> {
    const digest = await by.client.sendFile(readFileSync(`${EXAMPLE}.onnx`));
    const back = { prefix: `${EDGE_IP}/32`, port: 1 };
    const macs = { sourceMac: macOf('d1', 'eth1'), destinationMac: macOf('e', 'h0') };
    const device = (name: DeviceName) =>
      manifest('Device', name, {
        target: this.isBmv2(name) ? 'v1model' : 'xdp',
        address: `unix:${this.#socket(name)}`,
        // Where both of them compute a layer.
        ...(name !== 'd1' && { weight: name === 'd3' ? 2 : 1 }),
        forwarding: { routes: [name === 'd1' ? { ...back, ...macs } : back] },
      });
    const worker = (name: WorkerName) =>
      manifest('Worker', name, {
        control: this.doorOf(name),
        address: `${ipOf(name)}:18858`,
      });
    // d3 is farther away: as long as d2 is there, it is the better place.
    const links = PORTS.filter(({ to }) => to !== 'e').map(({ port, to, at }) => {
      const isDevice = to === 'd2' || to === 'd3';
      return manifest('Link', `d1-${to}`, {
        from: { node: 'd1', port, ...(!isDevice && { mac: macOf('d1', `eth${port}`) }) },
        to: { node: to, ...(isDevice ? { port: 1 } : { mac: macOf(to, at) }) },
        latencyUs: to === 'd3' ? 5000 : 10,
      });
    });
    const source = { name: 'traffic-mlp.onnx', digest };
    await by.apply(
      ...(['d1', 'd2', 'd3'] as const).map(device),
      ...WORKERS.map(worker),
      ...links,
      manifest('Model', 'm', { id: MODEL }),
      manifest('ModelVersion', 'm-1', { model: 'm', version: 1, source }),
      serviceManifest(),
    );
    for (const name of ['d1', 'd2', 'd3']) await by.until(`devices/${name}`, isInSync);
    await by.isAt(SERVICE, 1);
  }

  /** Jobs begin, and are told of by `seen`. */
  async startJobs(): Promise<void> {
    const task: JobsTask = {
      ...{ model: `${EXAMPLE}.onnx`, input: `${EXAMPLE}.x.bin`, expected: this.#expected },
      ...{ modelId: MODEL, service: SERVICE, perSecond: this.#o.perSecond },
      controllers: [0, 1, 2, 3].map((i) => `unix:${join(this.#o.folder, `c${i}.sock`)}`),
    };
    const script = join(import.meta.dirname, 'jobs.ts');
    const command = [process.execPath, '--import', 'tsx', script, JSON.stringify(task)];
    this.#jobs = new Program(command, { namespace: this.#wires.namespace('e') });
    this.#programs.push(this.#jobs);
    await this.#jobs.line();
  }

  /** What has become of jobs since the last time. */
  async seen(): Promise<JobsReport> {
    this.#jobs!.tell('mark');
    return JSON.parse(await this.#jobs!.line()) as JobsReport;
  }

  /** Begins no more, and waits for the last. */
  async stopJobs(): Promise<JobsReport> {
    this.#jobs!.tell('stop');
    return JSON.parse(await this.#jobs!.line()) as JobsReport;
  }

  /** Rows without a pause to a worker from its own machine, until it is stopped: more than it computes. */
  async flood(worker: WorkerName): Promise<{ stop(): Promise<void> }> {
    const script = join(import.meta.dirname, 'flood.ts');
    const task = [`${EXAMPLE}.onnx`, `${EXAMPLE}.x.bin`, ipOf(worker), `${MODEL}`];
    const program = new Program([process.execPath, '--import', 'tsx', script, ...task], {
      namespace: this.#wires.namespace(worker),
    });
    this.#programs.push(program);
    await program.line();
    return { stop: () => program.kill() };
  }

  /** All that agents have been told. A BMv2 tells what was written by what is there, which the controller reads back. */
  told(): string {
    const agents = (['d1', 'd2', 'd3'] as const).filter((device) => !this.isBmv2(device));
    return agents.map((device) => toldBy(join(this.#o.folder, `${device}.state`))).join(' ');
  }

  async close(): Promise<void> {
    for (const controller of this.controllers) await controller.kill();
    for (const program of this.#programs) await program.kill();
    for (const device of ['d1', 'd2', 'd3'] as const)
      if (!this.isBmv2(device)) removeAgent(this.#agentName(device), join(this.#o.folder, `${device}.state`));
    await this.etcd?.kill();
    this.#wires[Symbol.dispose]();
    // Etcd closes its files a moment after its end.
    await sleep(50);
  }
}

const isInSync = ({ status }: { readonly status: object }): boolean =>
  'state' in status && status.state === 'in sync';
