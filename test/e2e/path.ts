/** A model on a testbed: deployed over its switches, and asked from host h1. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { DeployReport } from '../../src/controller/report.ts';
import type { SendStatistics } from '../../src/ends/edge/index.ts';
import { importModel } from '../../src/import/index.ts';
import type { Model } from '../../src/model/model.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { cliArguments, intransit } from '../support/io.ts';
import { spawnWatch, type WatchProcess } from '../support/watch-events.ts';
import type { SteadyReport, SteadyTask } from './steady-sender.ts';
import { finished, type Testbed } from './testbed.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples');

export interface Example {
  readonly name: string;
  readonly model: Model;
  readonly rows: number;
  /** What the reference makes of the rows. */
  readonly expected: Uint8Array;
}

export const exampleFile = (name: string, ending: string): string => join(EXAMPLES, `${name}${ending}`);

export async function example(name: string): Promise<Example> {
  const { model } = await importModel(exampleFile(name, '.onnx'));
  const input = readFileSync(exampleFile(name, '.x.bin'));
  const width = model.input.shape.reduce((a, b) => a * b, 1);
  return { name, model, rows: input.length / width, expected: interpretRows(model, input) };
}

export interface Placement {
  /** 'A..B'; without any it only forwards. */
  readonly layers?: string;
  /** Next layer and the node to send such requests to. */
  readonly steer?: Readonly<Record<number, string>>;
}

/** The deployment of a model over those switches of a testbed that have a place in it. */
export class Deployment {
  readonly file: string;
  readonly #testbed: Testbed;
  readonly #folder: string;
  readonly #example: string;
  readonly #state: string;

  constructor(
    testbed: Testbed,
    folder: string,
    model: string,
    placements: Readonly<Record<string, Placement>>,
  ) {
    this.#testbed = testbed;
    this.#example = model;
    this.#folder = join(folder, `${testbed.document.run}-${model}`);
    // Shared by all deployments of a test file: programs are compiled once.
    this.#state = join(folder, `${model}.state`);
    this.file = join(this.#folder, 'deployment.json');
    mkdirSync(this.#folder, { recursive: true });
    this.write(placements);
  }

  write(placements: Readonly<Record<string, Placement>>): void {
    const { deployment } = this.#testbed.document;
    const devices = deployment.devices.flatMap((device) => {
      const placement = placements[device.name];
      if (placement === undefined) return [];
      const { steer = {}, ...layers } = placement;
      const steering = Object.entries(steer).map(([nextLayer, node]) => ({
        nextLayer: Number(nextLayer),
        port: this.#testbed.portTo(device.name, node),
      }));
      return [{ ...device, ...layers, steering }];
    });
    const model = { file: exampleFile(this.#example, '.onnx') };
    writeFileSync(this.file, JSON.stringify({ ...deployment, model, devices }));
  }

  async apply(): Promise<DeployReport> {
    const { code, out, err } = await intransit('deploy', this.file, '--json', ...this.#options);
    expect(code, err).toBe(0);
    return JSON.parse(out) as DeployReport;
  }

  /** `deploy --watch`, which has deployed. */
  async watch(): Promise<WatchProcess> {
    const watch = spawnWatch(this.file, this.#options);
    await watch.events.next('deployed', undefined, 60_000);
    return watch;
  }

  get #options(): string[] {
    return ['--state', this.#state, '--replace-program'];
  }
}

export interface Answers {
  readonly bytes: Uint8Array;
  readonly statistics: SendStatistics;
}

/** All rows of an example from h1 to h2 as packets, by `intransit send`. */
export async function send(
  testbed: Testbed,
  folder: string,
  { name }: Example,
  options: readonly string[] = [],
): Promise<Answers> {
  const output = join(folder, `${testbed.document.run}-${name}.answers.bin`);
  const argv = [
    'send',
    exampleFile(name, '.onnx'),
    '--to',
    testbed.host('h2').ip,
    '--rate',
    '1000',
    '--json',
  ];
  const files = ['--input', exampleFile(name, '.x.bin'), '--output', output];
  const command = cliArguments([...argv, ...files, ...options]);
  const { code, out, err } = await testbed.inside('h1', process.execPath, ...command);
  expect(code, err + out).toBe(0);
  return { bytes: readFileSync(output), statistics: JSON.parse(out) as SendStatistics };
}

export interface Traffic {
  /** @returns what was seen from the first packet to the last */
  stop(): Promise<SteadyReport>;
}

/** Rows of an example from h1 to h2, a thousand a second, until it is stopped. */
export function startTraffic(testbed: Testbed, name: string): Traffic {
  const task: SteadyTask = {
    model: exampleFile(name, '.onnx'),
    input: exampleFile(name, '.x.bin'),
    host: testbed.host('h2').ip,
    rows: 500,
    rate: 1000,
  };
  const script = join(import.meta.dirname, 'steady-sender.ts');
  const child = testbed.spawn('h1', process.execPath, ['--import', 'tsx', script, JSON.stringify(task)]);
  const done = finished(child);
  // A test that fails meanwhile does not wait for it.
  done.catch(() => {});
  return {
    async stop() {
      child.stdin!.end();
      const { code, out, err } = await done;
      expect(code, err + out).toBe(0);
      return JSON.parse(out) as SteadyReport;
    },
  };
}

type Told = Pick<SendStatistics, 'rows' | 'lost' | 'retried' | 'longestPauseMs'>;

/** What a run was like, for whoever reads the tests' output. */
export function tell(testbed: Testbed, what: string, s: Told): void {
  const kinds = testbed.document.switches.map((w) => w.kind).join(', ');
  const counts = `${s.retried} of ${s.rows} rows sent again, ${s.lost} lost`;
  console.info(`${kinds}: ${what}: longest pause ${s.longestPauseMs.toFixed(0)} ms, ${counts}`);
}

/** Every answer is the reference's, and none is missing. */
export function expectExact({ bytes, statistics }: Answers, { rows, expected }: Example): void {
  expect(statistics).toMatchObject({ rows, answered: rows, lost: 0, differing: 0 });
  expect(Buffer.compare(bytes, expected), 'answers that are not those of the reference').toBe(0);
}
