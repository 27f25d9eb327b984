/** The Mininet testbed for tests: starts `bmv2-testbed/testbed.py`, talks to its switches and runs programs in its hosts. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { outcomeCounter } from '../../src/backends/common/table-model.ts';
import type { DeploymentInput } from '../../src/controller/deployment-schema.ts';
import { P4Client, type P4ClientOptions } from '../../src/p4runtime/index.ts';
import { type PacketOutcome, packetOutcomes } from '../../src/wire/index.ts';
import { cliArguments } from '../support/io.ts';

export type Topology = 'single' | 'chain' | 'diamond';
export type SwitchKind = 'bmv2' | 'xdp';

export interface HostDocument {
  readonly name: string;
  readonly pid: number;
  readonly ip: string;
  readonly mac: string;
  readonly interface: string;
}

export interface SwitchDocument {
  readonly name: string;
  readonly kind: SwitchKind;
  readonly address: string;
  readonly deviceId: number;
  readonly pid: number;
  readonly log: string;
  readonly ports: readonly {
    readonly port: number;
    readonly interface: string;
    readonly peer: { readonly node: string; readonly interface: string };
  }[];
}

export interface TestbedDocument {
  readonly run: string;
  readonly hosts: readonly HostDocument[];
  readonly switches: readonly SwitchDocument[];
  /** A deployment file but for the model and the layers. */
  readonly deployment: Pick<DeploymentInput, 'format' | 'version'> & {
    readonly devices: readonly DeploymentInput['devices'][number][];
  };
}

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Time for a switch to answer as a P4Runtime device on a machine that is busy. */
const READY_MS = 30_000;

export const SCRIPT = join(import.meta.dirname, '../../bmv2-testbed/testbed.py');
/** Debian's Mininet belongs to Debian's Python; another may stand first on the PATH. */
export const PYTHON = '/usr/bin/python3';

export class Testbed {
  readonly document: TestbedDocument;
  readonly process: ChildProcess;
  readonly #logs: string;
  readonly #answers: AsyncIterator<string>;
  readonly #errors: () => string;
  /** One command at a time: answers carry no number. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(
    process: ChildProcess,
    answers: AsyncIterator<string>,
    first: string,
    logs: string,
    errors: () => string,
  ) {
    this.process = process;
    this.document = JSON.parse(first) as TestbedDocument;
    this.#answers = answers;
    this.#logs = logs;
    this.#errors = errors;
  }

  static async open(topology: Topology, kinds: readonly SwitchKind[]): Promise<Testbed> {
    const logs = mkdtempSync(join(tmpdir(), 'ittest-testbed-'));
    // From the sources: what is built may be older.
    const agent = [process.execPath, ...cliArguments([])].map((word) => `'${word}'`).join(' ');
    const args = ['-B', SCRIPT, topology, '--agent', agent, '--switches', kinds.join(','), '--logs', logs];
    const child = spawn(PYTHON, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    // A testbed that was killed is not to end the test with an EPIPE.
    child.stdin.on('error', () => {});
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done) {
      rmSync(logs, { recursive: true, force: true });
      throw new Error(`the testbed did not start: ${said}`);
    }
    return new Testbed(child, lines, first.value, logs, () => said);
  }

  host(name: string): HostDocument {
    return this.document.hosts.find((h) => h.name === name)!;
  }

  switch(name: string): SwitchDocument {
    return this.document.switches.find((s) => s.name === name)!;
  }

  /** The port of a switch behind which another node is. */
  portTo(from: string, peer: string): number {
    return this.switch(from).ports.find((p) => p.peer.node === peer)!.port;
  }

  /** Waits until a switch answers as a P4Runtime device: arbitration, and capabilities. */
  async ready(name: string): Promise<void> {
    await this.with(name, { timeoutMs: READY_MS }, async (client) => {
      await client.connect();
      await client.capabilities();
    });
  }

  async allReady(): Promise<void> {
    await Promise.all(this.document.switches.map(({ name }) => this.ready(name)));
  }

  /** Packets of each outcome so far. */
  outcomes(name: string): Promise<Readonly<Record<PacketOutcome, number>>> {
    // Looks on: it does not bid to be the primary.
    return this.with(name, { electionId: 0n, takeover: false }, async (client) => {
      await client.connect();
      const entities = await client.readAll([{ counterEntry: { counterId: outcomeCounter.id } }]);
      const counts = new Map(
        entities.map(({ counterEntry }) => [
          Number(counterEntry?.index?.index ?? 0n),
          Number(counterEntry?.data?.packetCount ?? 0n),
        ]),
      );
      const names = packetOutcomes.map((v, i) => [v.name, counts.get(i) ?? 0] as const);
      return Object.fromEntries(names) as Record<PacketOutcome, number>;
    });
  }

  /** Work with a client of a switch. */
  async with<T>(
    name: string,
    options: Partial<P4ClientOptions>,
    work: (client: P4Client) => Promise<T>,
  ): Promise<T> {
    const { address, deviceId } = this.switch(name);
    const client = new P4Client({ address, deviceId, backoffMs: [20, 100], ...options });
    try {
      return await work(client);
    } finally {
      client.close();
    }
  }

  /** A command of the testbed: to start, stop or kill the process of a switch. */
  tell(verb: 'start' | 'stop' | 'kill', name: string): Promise<void> {
    const done = this.#queue.then(async () => {
      this.process.stdin!.write(`${verb} ${name}\n`);
      const { value, done } = await this.#answers.next();
      if (done || 'error' in JSON.parse(value))
        throw new Error(`${verb} ${name}: ${value ?? this.#errors()}`);
    });
    this.#queue = done.catch(() => {});
    return done;
  }

  /** Takes a switch out of the network, and its wires with it: what an agent has loaded would go on without it. */
  async cut(name: string): Promise<void> {
    await this.tell('kill', name);
    this.#links(name, 'down');
  }

  async mend(name: string): Promise<void> {
    this.#links(name, 'up');
    await this.tell('start', name);
    await this.ready(name);
  }

  #links(name: string, state: 'up' | 'down'): void {
    for (const { interface: device } of this.switch(name).ports)
      execFileSync('ip', ['link', 'set', device, state]);
  }

  /** Starts a program inside a host. */
  spawn(host: string, command: string, args: readonly string[]): ChildProcess {
    const inside = ['-t', `${this.host(host).pid}`, '-n', command, ...args];
    // The mark lets the next run end what a killed test has left.
    const env = { ...process.env, INTRANSIT_TESTBED: this.document.run };
    return spawn('nsenter', inside, { stdio: ['pipe', 'pipe', 'pipe'], env });
  }

  /** Runs a program inside a host to its end. */
  inside(host: string, command: string, ...args: string[]): Promise<Finished> {
    return finished(this.spawn(host, command, args));
  }

  /** The end of what every switch has written, and of what the testbed has. */
  tails(lines = 15): string {
    const tail = (text: string) => text.trimEnd().split('\n').slice(-lines).join('\n');
    const logs = readdirSync(this.#logs).map(
      (name) => `--- ${name}\n${tail(readFileSync(join(this.#logs, name), 'utf8'))}`,
    );
    return [...logs, `--- testbed\n${tail(this.#errors())}`].join('\n');
  }

  async close(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const end = new Promise((resolve) => this.process.once('exit', resolve));
      this.process.stdin!.end();
      await end;
    }
    rmSync(this.#logs, { recursive: true, force: true });
  }
}

export function finished(child: ChildProcess): Promise<Finished> {
  return new Promise((resolve, reject) => {
    let [out, err] = ['', ''];
    child.stdout!.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr!.on('data', (chunk: Buffer) => {
      err += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
  });
}
