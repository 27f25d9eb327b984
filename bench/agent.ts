/**
 * The agent: how long a restart takes that finds its program in the kernel, and how many entries a second it writes, each on disk
 * before it is answered. `npm run build && npx tsx bench/agent.ts [ROUNDS]`, as root, with dist built.
 *
 * A restart is with 1,000 entries, and measured twice: from the start of the process to the line that says that it serves, in turns
 * with a Node.js that does nothing, which is part of it; and in a process that has the modules already, from the call of `startAgent` to its
 * open door. The latter is what an agent does: it reads and checks its state, finds the pins, compares the kernel with it, and listens.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { startAgent as startInside } from '../src/agent/index.ts';
import { importModel } from '../src/import/index.ts';
import type { Init, P4Client } from '../src/p4runtime/index.ts';
import { planOrRefuse } from '../src/runtime/xdp/engine.ts';
import { connect, Entities, example, pipelineOf } from '../test/agent/controller.ts';
import { layNetwork, type Network } from '../test/agent/network.ts';

const ROUNDS = Number(process.argv[2] ?? 15);
const ENTRIES = 1_000;
const IN_FLIGHT = 64;
const TICK_MS = 10;

interface Started {
  readonly wallMs: number;
  /** Of the process until then, all its threads; the kernel counts it in ticks of 10 ms. */
  readonly cpuMs: number;
  readonly address: string;
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

/** A process until its first line. */
async function start(argv: readonly string[]): Promise<Started> {
  const begun = performance.now();
  const child = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).once('line', resolve);
    ended.then(() => reject(new Error('ended')));
  });
  const wallMs = performance.now() - begun;
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  const cpuMs = (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  return {
    wallMs,
    cpuMs,
    address: JSON.parse(line).address,
    async end(signal) {
      child.kill(signal);
      await ended;
    },
  };
}

const startAgent = ({ agentName, netns, stateFolder, ports }: Network) =>
  start([
    ...['dist/cli/main.js', 'agent', '--name', agentName, '--json', '--netns', netns, '--state', stateFolder],
    ...ports.flatMap(({ name, port }) => ['--interface', `${name}=${port}`]),
  ]);
const startNode = () => start(['-e', 'console.log("{}"); process.stdin.resume()']);

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const range = (values: readonly number[]): string =>
  `${median(values).toFixed(0)} (${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)})`;

/** Entries a second: each change a Write of its own, one after the other or many at a time, or many changes a Write. */
async function write(client: P4Client, entities: readonly Init<'Entity'>[], batch: number, inFlight: number) {
  const batches = Array.from({ length: entities.length / batch }, (_, i) =>
    entities.slice(i * batch, (i + 1) * batch).map((entity) => ({ type: 'MODIFY' as const, entity })),
  );
  const begun = performance.now();
  let next = 0;
  const worker = async () => {
    for (let own = batches[next++]; own !== undefined; own = batches[next++]) await client.write(own);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return (1000 * entities.length) / (performance.now() - begun);
}

const { model } = await importModel(example('digits-mlp.onnx'));
const plan = planOrRefuse(model, {});
using network = layNetwork(2);
let agent = await startAgent(network);
let client = await connect(agent.address);
const pipeline = await pipelineOf(plan);
await client.pipeline.commit(pipeline);
const e = new Entities(plan, pipeline.p4info);
const steer = Array.from({ length: ENTRIES }, (_, i) =>
  e.program.tableEntry({
    table: 'steer',
    match: { model_id: 1 + (i >> 2), next_layer: i & 3 },
    action: { name: 'cross', params: { port: 1 + (i & 1) } },
  }),
);
await client.insert([...e.installation(), e.port(1, 2), e.port(2, 1), ...steer]);

for (const [name, batch, inFlight] of [
  ['one after the other', 1, 1],
  [`${IN_FLIGHT} Writes at a time`, 1, IN_FLIGHT],
  ['200 a Write', 200, 1],
] as const) {
  const rates: number[] = [];
  for (let round = 0; round < 5; round++) rates.push(await write(client, steer, batch, inFlight));
  console.log(`entries/s, ${name}: ${range(rates)}`);
}

const restarts: Started[] = [];
const floors: Started[] = [];
for (let round = 0; round < ROUNDS; round++) {
  client.close();
  await agent.end('SIGKILL');
  agent = await startAgent(network);
  restarts.push(agent);
  client = await connect(agent.address);
  const kept = (await client.readAll([{ tableEntry: {} }])).length;
  if (kept < ENTRIES) throw new Error(`only ${kept} entries are there`);
  const node = await startNode();
  floors.push(node);
  await node.end('SIGKILL');
}
client.close();
await agent.end('SIGTERM');
const inside: Pick<Started, 'wallMs' | 'cpuMs'>[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const [begun, cpu] = [performance.now(), process.cpuUsage()];
  const { agentName: name, netns, stateFolder, ports } = network;
  const again = await startInside({ name, deviceId: 1n, netns, stateFolder, ports });
  const { user, system } = process.cpuUsage(cpu);
  inside.push({ wallMs: performance.now() - begun, cpuMs: (user + system) / 1000 });
  if (!again.restored) throw new Error('the data plane was not found running');
  await again.close();
}
for (const [name, list] of [
  ['restart', restarts],
  ['of it Node.js itself', floors],
  ['restart in a process that has the modules', inside],
] as const)
  console.log(`${name}: ${range(list.map((s) => s.wallMs))} ms, CPU ${range(list.map((s) => s.cpuMs))} ms`);
