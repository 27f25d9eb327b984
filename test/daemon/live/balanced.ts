/** A host that sends, a device, and workers behind it that all have the address of the service; each in a namespace of its own. */

import { readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { removeAgent } from '../../../src/agent/index.ts';
import { importModel } from '../../../src/import/index.ts';
import { switchCommand } from '../../../src/runtime/bmv2/command.ts';
import { Controller, manifest, until } from './controller.ts';
import { Program } from './processes.ts';
import { RawJobs } from './raw-jobs.ts';
import { Wires } from './wires.ts';

export const SERVICE = 's';
const [MODEL, PORT] = [5, 18_858];
const [EDGE_IP, SERVICE_IP] = ['10.77.0.1', '10.77.9.9'];
const EXAMPLE = resolve(import.meta.dirname, '../../../examples/traffic-mlp');

export interface BalancedOptions {
  readonly kind: 'v1model' | 'xdp';
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
const macOf = (role: string): string =>
  `02:00:00:77:${role === 'e' ? '0e' : role[0] === 'w' ? '01' : '0d'}:0${Number(role.slice(1)) || 0}`;

export class BalancedNetwork {
  readonly #o: BalancedOptions;
  readonly #wires = new Wires();
  readonly #programs: Program[] = [];
  readonly #workers = new Map<string, Program>();
  controller!: Controller;

  constructor(options: BalancedOptions) {
    this.#o = options;
  }

  /** Lays it, with so many of its workers, and waits until the controller has brought it where it should be. */
  async begin(workers: number): Promise<void> {
    const names = this.#o.weights.map((_, i) => `w${i}`);
    for (const [i, end] of ['e', ...names].entries()) {
      const address = end === 'e' ? {} : { ip: `10.77.0.${9 + i}` };
      this.#wires.join(
        { in: 'd', name: `eth${i + 1}`, mac: macOf(`d${i + 1}`) },
        { in: end, name: 'h0', mac: macOf(end), ...address },
      );
      if (end === 'e') continue;
      this.#wires.inside(end, 'ip', 'addr', 'add', `${SERVICE_IP}/32`, 'dev', 'lo');
      // Answers come by with the worker's MAC: what crosses is left as it is.
      this.#wires.neighbour(end, 'h0', EDGE_IP, macOf('e'));
    }
    const started = names.slice(0, workers);
    await Promise.all([
      this.#startDevice(),
      ...started.map((w) => this.startWorker(w)),
      this.#startController(),
    ]);
    await this.#describe(started);
  }

  async #startDevice(): Promise<void> {
    const ports = ['e', ...this.#o.weights].map((_, i) => i + 1);
    const socket = this.#socket('d');
    if (this.#o.kind === 'v1model') {
      rmSync(socket, { force: true });
      const interfaces = ports.flatMap((port) => ['-i', `${port}@eth${port}`]);
      const options = ['--no-p4', '--device-id', '1', '-L', 'off', ...interfaces];
      this.#keep(
        new Program(switchCommand(options, ['--grpc-server-addr', `unix:${socket}`]), {
          namespace: this.#wires.namespace('d'),
        }),
      );
      return;
    }
    const interfaces = ports.flatMap((port) => ['--interface', `eth${port}=${port}`]);
    const identity = ['--name', this.#agentName, '--device-id', '1', '--listen', `unix:${socket}`];
    const where = [
      '--netns',
      this.#wires.namespace('d'),
      '--state',
      join(this.#o.folder, 'd.state'),
      '--json',
    ];
    const agent = this.#keep(
      new Program([...this.#o.intransit, 'agent', ...identity, ...where, ...interfaces]),
    );
    await agent.line();
  }

  #keep(program: Program): Program {
    this.#programs.push(program);
    return program;
  }

  get #agentName(): string {
    return `test-${this.#wires.label}-d`;
  }

  #socket(of: string): string {
    return join(this.#o.folder, `${of}.sock`);
  }

  async startWorker(name: string): Promise<void> {
    const door = ['--control', `unix:${this.#socket(name)}`, '--listen', `${SERVICE_IP}:${PORT}`];
    const command = [...this.#o.intransit, 'worker', ...door, '--on', 'reference', '--json'];
    const program = this.#keep(new Program(command, { namespace: this.#wires.namespace(name) }));
    this.#workers.set(name, program);
    await program.line();
  }

  async kill(worker: string): Promise<void> {
    await this.#workers.get(worker)!.kill();
  }

  async #startController(): Promise<void> {
    const { intransit, folder } = this.#o;
    this.controller = await Controller.start(intransit, folder, 'c', `sqlite:${join(folder, 'c.db')}`);
  }

  async #describe(workers: readonly string[]): Promise<void> {
    const digest = await this.controller.client.sendFile(readFileSync(`${EXAMPLE}.onnx`));
    await this.controller.apply(
      manifest('Device', 'd', {
        ...{ target: this.#o.kind, address: `unix:${this.#socket('d')}` },
        forwarding: { routes: [{ prefix: `${EDGE_IP}/32`, port: 1 }] },
      }),
      ...workers.flatMap((w) => this.#worker(w)),
      manifest('Model', 'm', { id: MODEL }),
      manifest('ModelVersion', 'm-1', {
        model: 'm',
        version: 1,
        source: { name: 'traffic-mlp.onnx', digest },
      }),
      manifest('Service', SERVICE, {
        ...{ model: 'm', ingress: 'd', address: SERVICE_IP },
        policy: {
          layers: [
            { layers: '0..1', nodes: ['d'] },
            { layers: '1..3', nodes: workers },
          ],
        },
      }),
    );
    await this.shared(workers.length);
  }

  #worker(name: string): readonly object[] {
    const i = Number(name.slice(1));
    const port = i + 2;
    return [
      manifest('Worker', name, { control: `unix:${this.#socket(name)}`, weight: this.#o.weights[i] }),
      manifest('Link', `d-${name}`, {
        from: { node: 'd', port, mac: macOf(`d${port}`) },
        to: { node: name, mac: macOf(name) },
      }),
    ];
  }

  /** A worker more. */
  async add(name: string): Promise<void> {
    await this.startWorker(name);
    await this.controller.apply(...this.#worker(name));
  }

  /** Waits until the device spreads jobs over so many. @returns per cent by worker */
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
    if (this.#o.kind === 'xdp') removeAgent(this.#agentName, join(this.#o.folder, 'd.state'));
    this.#wires[Symbol.dispose]();
  }
}

/** The worker that has a MAC, as an answer tells it. */
export const workerOf = (mac: string): string => `w${Number(mac.slice(-2))}`;
