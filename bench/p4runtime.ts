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

/** Seconds for one round on a fresh switch. */
async function round(work: (address: string, client: P4Client) => Promise<number>): Promise<number> {
  const bmv2 = await startSwitch();
  const client = new P4Client({
    address: bmv2.address,
    deviceId: bmv2.deviceId,
    electionId: 1n,
    timeoutMs: 60_000,
  });
  try {
    await client.connect();
    await client.pipeline.commit({
      p4info: conformanceP4Info,
      deviceConfig,
    });
    return await work(bmv2.address, client);
  } finally {
    client.close();
    await bmv2.kill();
  }
}

/** From ids and byte strings, as Python has them. */
async function fromMessages(client: P4Client, given: readonly Init<'Update'>[]): Promise<number> {
  const begun = performance.now();
  await client.write(given, { batch: BATCH });
  return (performance.now() - begun) / 1_000;
}

/** From names and numbers, with all checks. */
async function fromNames(client: P4Client): Promise<number> {
  const begun = performance.now();
  await client.write(updates(), { batch: BATCH });
  return (performance.now() - begun) / 1_000;
}

/** @returns the error where Python has no grpcio */
function pythonFault(): string | undefined {
  const probe = spawnSync(python, ['-c', 'import grpc, google.protobuf'], { encoding: 'utf8' });
  return probe.status === 0 ? undefined : (probe.stderr ?? String(probe.error)).trim().split('\n').at(-1);
}

function report(name: string, seconds: readonly number[]): void {
  const rates = seconds.map((s) => Math.round(entries / s)).sort((a, b) => a - b);
  const median = rates[Math.floor(rates.length / 2)];
  console.log(
    `${name.padEnd(24)} ${median} entries/s (${rates[0]}..${rates.at(-1)}, ${rounds} rounds of ${entries}, batches of ${BATCH})`,
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
    const theirs = (address: string): number =>
      Number(execFileSync(python, [script, address, file, `${BATCH}`], { encoding: 'utf8' }).trim());
    const given = updates();
    const [messages, names, others]: [number[], number[], number[]] = [[], [], []];
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
