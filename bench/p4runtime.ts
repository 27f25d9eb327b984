/**
 * P4Runtime against BMv2 over loopback: `npx tsx bench/p4runtime.ts [ENTRIES] [ROUNDS] [echo]`. With `echo` writes go to a server that
 * takes all and keeps nothing (`p4runtime-echo.ts`) instead: what the clients cost by themselves. Entries a second written, from messages and
 * by names with all checks, and read, 10,000 at a time, beside the same answer left as bytes. A Python grpcio client (`p4runtime_grpcio.py`) does the same where
 * Python has grpcio; the clients take turns, round by round, each on a switch of its own for writes, on one switch for
 * reads. Prints a line each: median of the rounds, worst and best, and the client's own CPU time an entry, which other work on
 * the machine disturbs less.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, credentials } from '@grpc/grpc-js';
import { P4Client } from '../src/p4runtime/p4-client.ts';
import { P4Program } from '../src/p4runtime/program.ts';
import type { Init } from '../src/p4runtime/proto/messages.ts';
import { v1Codec } from '../src/p4runtime/proto/registry.ts';
import { p4runtimeService } from '../src/p4runtime/proto/service.ts';
import { startSwitch } from '../test/p4runtime/support/bmv2.ts';
import {
  compileFixture,
  conformanceP4Info,
  haveBmv2,
  temporaryFolder,
} from '../test/p4runtime/support/tools.ts';

const BATCH = 200;
const READ_ENTRIES = 10_000;
const entries = Number(process.argv[2] ?? 40_000);
const rounds = Number(process.argv[3] ?? 7);
const deviceConfig = haveBmv2 ? compileFixture('conformance.p4').deviceConfig : new Uint8Array(0);
const python = process.env.PYTHON ?? 'python3';
const script = fileURLToPath(new URL('./p4runtime_grpcio.py', import.meta.url));
const program = new P4Program(conformanceP4Info);

/** The updates of both clients, made as they are taken: Python makes its messages Write by Write too. */
function* updates(count: number): Generator<Init<'Update'>, void, void> {
  for (let i = 0; i < count; i++)
    yield {
      type: 'INSERT' as const,
      entity: program.tableEntry({
        table: 'exact16',
        match: { 'h.ethernet.ethertype': i },
        action: { name: 'forward', params: { port: i % 500 } },
      }),
    };
}

/** For a switch that has it already. */
const again = (update: Init<'Update'>): Init<'Update'> => ({ ...update, type: 'MODIFY' });

function* inParts<T>(items: Iterable<T>, size: number): Generator<readonly T[], void, void> {
  let part: T[] = [];
  for (const item of items) {
    part.push(item);
    if (part.length < size) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

/** Of one round, in seconds: on the clock, and of the client's CPU (all its threads). */
interface Cost {
  readonly wall: number;
  readonly cpu: number;
}

/** A fresh switch with the program, and its primary. */
async function withSwitch<T>(work: (address: string, client: P4Client) => Promise<T>): Promise<T> {
  const bmv2 = await startSwitch();
  const client = new P4Client({
    address: bmv2.address,
    deviceId: bmv2.deviceId,
    electionId: 1n,
    timeoutMs: 60_000,
  });
  try {
    await client.connect();
    await client.pipeline.commit({ p4info: conformanceP4Info, deviceConfig });
    return await work(bmv2.address, client);
  } finally {
    await client.close();
    await bmv2.kill();
  }
}

/** The same with a server that keeps nothing. */
async function withEcho<T>(work: (address: string, client: P4Client) => Promise<T>): Promise<T> {
  const script = fileURLToPath(new URL('./p4runtime-echo.ts', import.meta.url));
  const server = spawn(process.execPath, ['--import', 'tsx', script, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const port = await new Promise<string>((resolve) => server.stdout.once('data', (d) => resolve(`${d}`)));
  const address = `127.0.0.1:${port.trim()}`;
  const client = new P4Client({ address, deviceId: 1, electionId: 1n, timeoutMs: 60_000 });
  try {
    await client.connect();
    return await work(address, client);
  } finally {
    await client.close();
    server.stdin.end();
  }
}

const echo = process.argv[4] === 'echo';
const withServer = echo ? withEcho : withSwitch;

async function measure(work: () => Promise<void>): Promise<Cost> {
  const [begun, cpu] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { wall: (performance.now() - begun) / 1_000, cpu: (user + system) / 1_000_000 };
}

/** @returns the error where Python has no grpcio */
function pythonFault(): string | undefined {
  const probe = spawnSync(python, ['-c', 'import grpc, google.protobuf; print(grpc.__version__)'], {
    encoding: 'utf8',
  });
  if (probe.status !== 0) return (probe.stderr ?? String(probe.error)).trim().split('\n').at(-1);
  console.log(`Python has grpcio ${probe.stdout.trim()}`);
  return undefined;
}

const askPython = (...args: readonly string[]): readonly Cost[] =>
  execFileSync(python, [script, ...args], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => {
      const [wall = Number.NaN, cpu = Number.NaN] = line.split(' ').map(Number);
      return { wall, cpu };
    });

const sorted = (numbers: readonly number[]): readonly number[] => [...numbers].sort((x, y) => x - y);
const median = (numbers: readonly number[]): number =>
  sorted(numbers)[Math.floor(numbers.length / 2)] ?? Number.NaN;

function report(name: string, count: number, costs: readonly Cost[]): void {
  const rates = sorted(costs.map(({ wall }) => Math.round(count / wall)));
  const cpu = (median(costs.map((c) => c.cpu)) / count) * 1_000_000;
  console.log(
    `${name.padEnd(24)} ${median(rates)} entries/s (${rates[0]}..${rates.at(-1)}), ${cpu.toFixed(1)} us of CPU an entry`,
  );
}

async function benchWrites(file: string, hasPython: boolean): Promise<void> {
  // A WriteRequest without header fields: both clients parse it, and cut it into batches. Were it made and kept here at once,
  // the engine would learn that such objects live long, and keep those of the other kind of writes too.
  writeFileSync(file, '');
  for (const some of inParts(updates(entries), BATCH))
    appendFileSync(file, v1Codec('WriteRequest').encode({ updates: some }));
  const given = v1Codec('WriteRequest').decode(readFileSync(file)).updates;
  const fromNames = (client: P4Client, batch = BATCH) =>
    measure(() => client.write(updates(entries), { batch }));
  const [messages, names, others]: [Cost[], Cost[], Cost[]] = [[], [], []];
  console.log(`writes: ${rounds} rounds of ${entries} entries, ${BATCH} a Write: median (worst..best)`);
  // A controller that runs for long is warm: the engine has compiled all of it. Small Writes make many calls.
  for (let i = 0; i < 2; i++)
    await withServer(async (_, client) => {
      await fromNames(client, BATCH / 10);
      await client.write(given.map(again), { batch: BATCH / 10 });
    });
  for (let i = 0; i < rounds; i++) {
    // From ids and byte strings, as Python has them; then from names and numbers, with all checks.
    messages.push(await withServer((_, client) => measure(() => client.write(given, { batch: BATCH }))));
    if (hasPython)
      others.push(...(await withServer(async (address) => askPython('write', address, file, `${BATCH}`))));
    names.push(await withServer((_, client) => fromNames(client)));
  }
  report('p4runtime-js', entries, messages);
  report('p4runtime-js, by names', entries, names);
  if (!hasPython) return;
  report('Python grpcio', entries, others);
  for (const [name, costs] of [
    ['from messages', messages],
    ['by names', names],
  ] as const) {
    const ratio = median(others.map((c) => c.wall)) / median(costs.map((c) => c.wall));
    console.log(`writes ${name}: ${ratio.toFixed(2)} times the entries/s of grpcio`);
  }
}

/** The same answer, left as bytes: no client reads faster than the switch answers. */
function undecoded(address: string, entity: Init<'Entity'>): Promise<void> {
  const { path, requestSerialize } = p4runtimeService().Read!;
  const client = new Client(address, credentials.createInsecure(), { 'grpc.max_receive_message_length': -1 });
  return new Promise((resolve, reject) => {
    client
      .makeServerStreamRequest(path, requestSerialize, (bytes) => bytes, { deviceId: 1n, entities: [entity] })
      .on('data', () => {})
      .on('error', reject)
      .on('end', () => {
        client.close();
        resolve();
      });
  });
}

async function benchReads(hasPython: boolean): Promise<void> {
  const request = program.allEntries('exact16');
  const times = rounds * 3;
  console.log(`reads: ${times} of ${READ_ENTRIES} entries`);
  await withSwitch(async (address, client) => {
    await client.write(updates(READ_ENTRIES));
    const read = async () => {
      const found = await client.readAll([request]);
      if (found.length !== READ_ENTRIES) throw new Error(`${found.length} entries were read`);
      return found;
    };
    const decoded = async () => {
      for (const { tableEntry } of await read()) program.decodeTableEntry(tableEntry!);
    };
    const [bare, messages, names]: [Cost[], Cost[], Cost[]] = [[], [], []];
    for (let i = 0; i < times + 5; i++) {
      bare.push(await measure(() => undecoded(address, request)));
      messages.push(await measure(async () => void (await read())));
      names.push(await measure(decoded));
    }
    report('bytes alone', READ_ENTRIES, bare.slice(5));
    report('p4runtime-js', READ_ENTRIES, messages.slice(5));
    report('p4runtime-js, by names', READ_ENTRIES, names.slice(5));
    if (hasPython)
      report(
        'Python grpcio',
        READ_ENTRIES,
        askPython('read', address, `${request.tableEntry!.tableId}`, `${times}`),
      );
  });
}

if (!haveBmv2) {
  console.log('skipped: simple_switch_grpc and p4c-bm2-ss must be on the PATH');
} else {
  const folder = temporaryFolder();
  try {
    const fault = pythonFault();
    if (fault !== undefined)
      console.log(
        `SKIPPED: Python grpcio: ${fault} (PYTHON names an interpreter; Debian: apt-get install python3-grpcio python3-protobuf)`,
      );
    await benchWrites(join(folder.path, 'updates.bin'), fault === undefined);
    if (!echo) await benchReads(fault === undefined);
  } finally {
    folder.remove();
  }
}
