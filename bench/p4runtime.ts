/**
 * Table writes per second into BMv2 over loopback: `npx tsx bench/p4runtime.ts [ENTRIES] [ROUNDS]`. Beside our client a
 * Python grpcio client (`p4runtime_grpcio.py`) does the same where Python has grpcio; the two take turns, round by round,
 * each with a switch of its own. Prints one line a client: the median of the rounds, the best and the worst.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { P4Client } from '../src/p4runtime/p4-client.ts';
import { P4Program } from '../src/p4runtime/program.ts';
import type { Init } from '../src/p4runtime/proto/messages.ts';
import { v1Codec } from '../src/p4runtime/proto/registry.ts';
import { startSwitch } from '../test/p4runtime/support/bmv2.ts';
import {
  compileFixture,
  conformanceP4Info,
  haveBmv2,
  temporaryFolder,
} from '../test/p4runtime/support/tools.ts';

const BATCH = 200;
const entries = Number(process.argv[2] ?? 40_000);
const deviceConfig = haveBmv2 ? compileFixture('conformance.p4').deviceConfig : new Uint8Array(0);
const rounds = Number(process.argv[3] ?? 7);
const python = process.env.PYTHON ?? '/usr/bin/python3';
const script = fileURLToPath(new URL('./p4runtime_grpcio.py', import.meta.url));

/** The updates of both clients. */
function updates(): readonly Init<'Update'>[] {
  const program = new P4Program(conformanceP4Info);
  return Array.from({ length: entries }, (_, i) => ({
    type: 'INSERT' as const,
    entity: program.tableEntry({
      table: 'exact16',
      match: { 'h.ethernet.ethertype': i },
      action: { name: 'forward', params: { port: i % 500 } },
    }),
  }));
}

/** Of one round, in seconds: on the clock, and of the client's CPU (all its threads). */
interface Cost {
  readonly wall: number;
  readonly cpu: number;
}

/** One round on a fresh switch. */
async function round(work: (address: string, client: P4Client) => Promise<Cost>): Promise<Cost> {
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
    client.close();
    await bmv2.kill();
  }
}

async function measure(work: () => Promise<void>): Promise<Cost> {
  const [begun, cpu] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { wall: (performance.now() - begun) / 1_000, cpu: (user + system) / 1_000_000 };
}

/** From ids and byte strings, as Python has them. */
const fromMessages = (client: P4Client, given: readonly Init<'Update'>[]): Promise<Cost> =>
  measure(() => client.write(given, { batch: BATCH }));

/** From names and numbers, with all checks. */
const fromNames = (client: P4Client): Promise<Cost> =>
  measure(() => client.write(updates(), { batch: BATCH }));

/** @returns the error where Python has no grpcio */
function pythonFault(): string | undefined {
  const probe = spawnSync(python, ['-c', 'import grpc, google.protobuf'], { encoding: 'utf8' });
  return probe.status === 0 ? undefined : (probe.stderr ?? String(probe.error)).trim().split('\n').at(-1);
}

const sorted = (numbers: readonly number[]): readonly number[] => [...numbers].sort((x, y) => x - y);
const median = (numbers: readonly number[]): number =>
  sorted(numbers)[Math.floor(numbers.length / 2)] ?? Number.NaN;

function report(name: string, costs: readonly Cost[]): void {
  const rates = costs.map(({ wall }) => Math.round(entries / wall));
  const cpu = (median(costs.map((c) => c.cpu)) / entries) * 1_000_000;
  const spread = `${sorted(rates)[0]}..${sorted(rates).at(-1)}`;
  console.log(
    `${name.padEnd(24)} ${median(rates)} entries/s (${spread}), ${cpu.toFixed(1)} us of the client's CPU an entry`,
  );
}

if (!haveBmv2) {
  console.log('skipped: simple_switch_grpc and p4c-bm2-ss must be on the PATH');
} else {
  const folder = temporaryFolder();
  try {
    const file = join(folder.path, 'updates.bin');
    // A WriteRequest without header fields: Python parses it, and cuts it into batches.
    writeFileSync(file, v1Codec('WriteRequest').encode({ updates: updates() }));
    const fault = pythonFault();
    const theirs = (address: string): Cost => {
      const said = execFileSync(python, [script, address, file, `${BATCH}`], { encoding: 'utf8' });
      const [wall = Number.NaN, cpu = Number.NaN] = said.trim().split(' ').map(Number);
      return { wall, cpu };
    };
    const given = updates();
    const [messages, names, others]: [Cost[], Cost[], Cost[]] = [[], [], []];
    console.log(`${rounds} rounds of ${entries} entries, ${BATCH} a Write: median (worst..best)`);
    // The first round warms the compiler of the JavaScript engine, as a controller that runs for long is warm.
    await round((_, client) => fromNames(client));
    for (let i = 0; i < rounds; i++) {
      messages.push(await round((_, client) => fromMessages(client, given)));
      if (fault === undefined) others.push(await round(async (address) => theirs(address)));
      names.push(await round((_, client) => fromNames(client)));
    }
    report('p4runtime-js', messages);
    report('p4runtime-js, by names', names);
    if (fault === undefined) report('Python grpcio', others);
    else
      console.log(
        `Python grpcio            skipped: ${fault} (Debian: apt-get install python3-grpcio python3-protobuf)`,
      );
  } finally {
    folder.remove();
  }
}
