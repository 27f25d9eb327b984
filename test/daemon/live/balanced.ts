/**
 * A host that sends, a device, and workers behind it that all have the address of the service; each in a namespace of its own. Where there are
 * to be replicas, devices beside them compute the whole model, the first one nothing, and workers what comes to them all the same.
 */

import { readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { removeAgent } from '../../../src/agent/index.ts';
import { importModel } from '../../../src/import/index.ts';
import { switchCommand } from '../../../src/runtime/bmv2/command.ts';
import { Controller, manifest, until } from './controller.ts';
import { hasBmv2 } from './network.ts';
import { Program } from './processes.ts';
import { RawJobs } from './raw-jobs.ts';
import { Wires } from './wires.ts';

export const SERVICE = 's';
const [MODEL, PORT] = [5, 18_858];
const [EDGE_IP, SERVICE_IP] = ['10.77.0.1', '10.77.9.9'];
const EXAMPLE = resolve(import.meta.dirname, '../../../examples/traffic-mlp');

type DeviceKind = 'v1model' | 'xdp';

/** Three devices that share jobs by their weights, the second a BMv2 where there is one. */
export const THREE_REPLICAS: NonNullable<BalancedOptions['replicas']> = [
  { kind: 'xdp', weight: 1 },
  { kind: hasBmv2 ? 'v1model' : 'xdp', weight: 2 },
  { kind: 'xdp', weight: 1 },
];

export interface BalancedOptions {
  readonly kind: DeviceKind;
  /** Devices beside the first, r1 and so on, each with its weight. */
  readonly replicas?: readonly { readonly kind: DeviceKind; readonly weight: number }[];
  /** Files of the scene; whoever asks for it removes it. */
  readonly folder: string;
  /** What runs the command line. */
  readonly intransit: readonly string[];
  /** Weights of workers, w0 and so on. Those that come later are among them. */
  readonly weights: readonly number[];
}

const bytesOf = (mac: string): Uint8Array =>
  Uint8Array.from(mac.split(':'), (part) => Number.parseInt(part, 16));
const ipBytes = (address: string): Uint8Array => Uint8Array.from(address.split('.'), Number);
/** By the first letter of a role. */
const ROLES: Readonly<Record<string, string>> = { e: '0e', d: '0d', r: '02', w: '01' };
const macOf = (role: string): string => `02:00:00:77:${ROLES[role[0]!]}:0${Number(role.slice(1)) || 0}`;

export class BalancedNetwork {
  readonly #o: BalancedOptions;
  readonly #wires = new Wires();
  readonly #programs: Program[] = [];
  readonly #running = new Map<string, Program>();
  controller!: Controller;

  constructor(options: BalancedOptions) {
    this.#o = options;
  }

  /** Lays it, with so many of its workers, and waits until the controller has brought it where it should be. */
  async begin(workers: number): Promise<void> {
    const names = this.#o.weights.map((_, i) => `w${i}`);
    for (const [i, end] of ['e', ...names, ...this.#replicas].entries()) {
      const isWorker = end.startsWith('w');
      const address = isWorker ? { ip: `10.77.0.${9 + i}` } : {};
      this.#wires.join(
        { in: 'd', name: `eth${i + 1}`, mac: macOf(`d${i + 1}`) },
        { in: end, name: end.startsWith('r') ? 'eth1' : 'h0', mac: macOf(end), ...address },
      );
      if (!isWorker) continue;
      this.#wires.inside(end, 'ip', 'addr', 'add', `${SERVICE_IP}/32`, 'dev', 'lo');
      // Answers come by with the worker's MAC: what crosses is left as it is.
      this.#wires.neighbour(end, 'h0', EDGE_IP, macOf('e'));
    }
    const started = names.slice(0, workers);
    await Promise.all([
      ...['d', ...this.#replicas].map((name) => this.startDevice(name)),
      ...started.map((w) => this.startWorker(w)),
      this.#startController(),
    ]);
    await this.#describe(started);
  }

  /** Names of devices beside the first. */
  get #replicas(): readonly string[] {
    return (this.#o.replicas ?? []).map((_, i) => `r${i + 1}`);
  }

  #kindOf(device: string): DeviceKind {
    return device === 'd' ? this.#o.kind : this.#o.replicas![Number(device.slice(1)) - 1]!.kind;
  }

  /** A BMv2 without a program, or an agent with what it was told before. */
  async startDevice(name: string): Promise<void> {
    const ports = name === 'd' ? this.#ends.map((_, i) => i + 1) : [1];
    const socket = this.#socket(name);
    const namespace = this.#wires.namespace(name);
    if (this.#kindOf(name) === 'v1model') {
      rmSync(socket, { force: true });
      const interfaces = ports.flatMap((port) => ['-i', `${port}@eth${port}`]);
      const options = ['--no-p4', '--device-id', '1', '-L', 'off', ...interfaces];
      const command = switchCommand(options, ['--grpc-server-addr', `unix:${socket}`]);
      this.#running.set(name, this.#keep(new Program(command, { namespace })));
      return;
    }
    if (name !== 'd') this.#wires.set(name, 'eth1', 'up');
    const interfaces = ports.flatMap((port) => ['--interface', `eth${port}=${port}`]);
    const identity = ['--name', this.#agentName(name), '--device-id', '1', '--listen', `unix:${socket}`];
    const where = ['--netns', namespace, '--state', this.#stateOf(name), '--json'];
    const agent = this.#keep(
      new Program([...this.#o.intransit, 'agent', ...identity, ...where, ...interfaces]),
    );
    this.#running.set(name, agent);
    await agent.line();
  }

  /** From one instruction to the next: the process is gone, and nothing goes through. */
  async dieDevice(name: string): Promise<void> {
    // What an agent has loaded stays in the kernel.
    if (this.#kindOf(name) === 'xdp') this.#wires.set(name, 'eth1', 'down');
    await this.#running.get(name)!.kill();
  }

  /** What the first device is joined with, in the order of its ports. */
  get #ends(): readonly string[] {
    return ['e', ...this.#o.weights.map((_, i) => `w${i}`), ...this.#replicas];
  }

  #keep(program: Program): Program {
    this.#programs.push(program);
    return program;
  }

  #agentName(device: string): string {
    return `test-${this.#wires.label}-${device}`;
  }

  #stateOf(device: string): string {
    return join(this.#o.folder, `${device}.state`);
  }

  #socket(of: string): string {
    return join(this.#o.folder, `${of}.sock`);
  }

  /** @param isSlow computes in small batches: less than can be asked of it */
  async startWorker(name: string, isSlow = false): Promise<void> {
    const door = ['--control', `unix:${this.#socket(name)}`, '--listen', `${SERVICE_IP}:${PORT}`];
    const engine = ['--on', 'reference', ...(isSlow ? ['--batch', '4'] : [])];
    const command = [...this.#o.intransit, 'worker', ...door, ...engine, '--json'];
    const program = this.#keep(new Program(command, { namespace: this.#wires.namespace(name) }));
    this.#running.set(name, program);
    await program.line();
  }

  async kill(worker: string): Promise<void> {
    await this.#running.get(worker)!.kill();
  }

  async #startController(): Promise<void> {
    const { intransit, folder } = this.#o;
    this.controller = await Controller.start(intransit, folder, 'c', `sqlite:${join(folder, 'c.db')}`);
  }

  async #describe(workers: readonly string[]): Promise<void> {
    const digest = await this.controller.client.sendFile(readFileSync(`${EXAMPLE}.onnx`));
    await this.controller.apply(
      ...['d', ...this.#replicas].flatMap((name) => this.#device(name)),
      ...workers.flatMap((w) => this.#worker(w)),
      manifest('Model', 'm', { id: MODEL }),
      manifest('ModelVersion', 'm-1', {
        model: 'm',
        version: 1,
        source: { name: 'traffic-mlp.onnx', digest },
      }),
      this.#service(workers),
    );
    await this.shared(workers.length + this.#replicas.length);
  }

  #service(workers: readonly string[], policy: object = {}): object {
    const layers =
      this.#replicas.length > 0
        ? [{ layers: '0..3', nodes: this.#replicas }]
        : [
            { layers: '0..1', nodes: ['d'] },
            { layers: '1..3', nodes: workers },
          ];
    const replicas = this.#replicas.length > 0 ? { replicas: this.#replicas.length } : {};
    return manifest('Service', SERVICE, {
      ...{ model: 'm', ingress: 'd', address: SERVICE_IP },
      policy: { ...replicas, layers, ...policy },
    });
  }

  /** From now on the raw input may not leave the zone of the devices, and these workers are in another one. */
  async keepRawInput(workers: readonly string[]): Promise<void> {
    await this.controller.apply(
      ...workers.flatMap((w) => this.#worker(w, { zone: 'elsewhere' })),
      this.#service(workers, { rawInputZones: ['default'] }),
    );
    await until(async () => {
      const { metadata, status } = await this.controller.object(`services/${SERVICE}`);
      const { conditions = [] } = status;
      return conditions.every((c) => c.observedGeneration === metadata.generation);
    }, 'the service has been placed anew');
  }

  #device(name: string): readonly object[] {
    const target = this.#kindOf(name);
    const device = { target, address: `unix:${this.#socket(name)}` };
    const forwarding = { routes: [{ prefix: `${EDGE_IP}/32`, port: 1 }] };
    if (name === 'd') return [manifest('Device', name, { ...device, forwarding })];
    const { weight } = this.#o.replicas![Number(name.slice(1)) - 1]!;
    const port = this.#ends.indexOf(name) + 1;
    // Who answers is told by the MAC to which the request was sent.
    return [
      manifest('Device', name, { ...device, forwarding, weight }),
      manifest('Link', `d-${name}`, {
        from: { node: 'd', port, mac: macOf(`d${port}`) },
        to: { node: name, port: 1, mac: macOf(name) },
      }),
    ];
  }

  #worker(name: string, more: object = {}): readonly object[] {
    const i = Number(name.slice(1));
    const port = i + 2;
    return [
      manifest('Worker', name, {
        ...{ control: `unix:${this.#socket(name)}`, weight: this.#o.weights[i] },
        ...more,
      }),
      manifest('Link', `d-${name}`, {
        from: { node: 'd', port, mac: macOf(`d${port}`) },
        to: { node: name, mac: macOf(name) },
      }),
    ];
  }

  /** A worker more, one that can be overloaded. */
  async add(name: string): Promise<void> {
    await this.startWorker(name, true);
    await this.controller.apply(...this.#worker(name));
  }

  weightOf(worker: string): number {
    return this.#o.weights[Number(worker.slice(1))]!;
  }

  /** Control door of a worker. */
  doorOf(worker: string): string {
    return `unix:${this.#socket(worker)}`;
  }

  /** Rows without a pause to a worker from its own machine, until it is stopped: more than it computes. */
  async flood(worker: string): Promise<{ stop(): Promise<void> }> {
    const task = [`${EXAMPLE}.onnx`, `${EXAMPLE}.x.bin`, SERVICE_IP, `${MODEL}`];
    const program = this.#keep(
      new Program([process.execPath, '--import', 'tsx', join(import.meta.dirname, 'flood.ts'), ...task], {
        namespace: this.#wires.namespace(worker),
      }),
    );
    await program.line();
    return { stop: () => program.kill() };
  }

  /** Waits until devices spread jobs over so many devices and workers. @returns per cent by name */
  async shared(count: number): Promise<Readonly<Record<string, number>>> {
    let shares: readonly { readonly node: string; readonly percent: number }[] = [];
    await until(
      async () => {
        const { status } = await this.controller.object(`services/${SERVICE}`);
        shares = 'shares' in status ? (status.shares ?? []) : [];
        const device = await this.controller.object('devices/d');
        const isSettled = 'state' in device.status && device.status.state === 'in sync';
        return shares.length === count && isSettled;
      },
      () => `shares ${JSON.stringify(shares)}`,
    );
    return Object.fromEntries(shares.map((s) => [s.node, s.percent]));
  }

  /** Requests that enter at the host. */
  async jobs(jobs: number, perSecond: number): Promise<RawJobs> {
    const { model } = await importModel(`${EXAMPLE}.onnx`);
    return new RawJobs({
      ...{ namespace: this.#wires.namespace('e'), interface: 'h0', model, modelId: MODEL, jobs, perSecond },
      ...{ input: readFileSync(`${EXAMPLE}.x.bin`), expected: readFileSync(`${EXAMPLE}.ort.bin`) },
      addresses: {
        ...{ sourceMac: bytesOf(macOf('e')), destinationMac: bytesOf(macOf('d1')) },
        ...{ sourceIp: ipBytes(EDGE_IP), destinationIp: ipBytes(SERVICE_IP) },
        ...{ sourcePort: 40_077, destinationPort: PORT },
      },
    });
  }

  async close(): Promise<void> {
    await this.controller?.kill();
    for (const program of this.#programs) await program.kill();
    for (const name of ['d', ...this.#replicas])
      if (this.#kindOf(name) === 'xdp') removeAgent(this.#agentName(name), this.#stateOf(name));
    this.#wires[Symbol.dispose]();
  }
}

/** The worker or device that has a MAC, as an answer tells it. */
export const answererOf = (mac: string): string => {
  const [role] = Object.entries(ROLES).find(([, byte]) => byte === mac.slice(8, 10))!;
  return `${role}${Number(mac.slice(-2))}`;
};
