import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { planReplacement } from '../../src/backends/xdp/replacement.ts';
import { isHeld } from '../../src/controller/versions.ts';
import {
  entityKey,
  type Init,
  insertion,
  type P4Client,
  type PipelineConfig,
  removal,
  v1Codec,
} from '../../src/p4runtime/index.ts';
import { planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { decodePacket, framePayload, packetKinds } from '../../src/wire/index.ts';
import { connect, Entities, pipelineOf } from '../../test/agent/controller.ts';
import { layNetwork, type Network } from '../../test/agent/network.ts';
import { requestFrame } from '../../test/support/frames.ts';
import { modelOf } from '../../test/support/models.ts';
import { type Random, random } from '../../test/support/random.ts';
import { type Attack, MOST_FAULTS, type Outcome } from './attack.ts';

type Entity = Init<'Entity'>;
type Update = Init<'Update'>;

const KILLS = 200;
/** What an agent asks of the kernel while it changes something: files, BPF, and its answers. */
const CALLS = [
  ...['bpf', 'fdatasync', 'fsync', 'ftruncate', 'pwrite64', 'write', 'writev', 'rename', 'renameat2', 'link'],
  ...['mkdir', 'unlink', 'unlinkat', 'rmdir', 'chmod', 'fchmod', 'flock'],
];
/** Acknowledged steps of the life that is measured, and of one that should be killed. */
const [MEASURED_STEPS, MOST_STEPS] = [40, 150];
/** No life is quite like another: a moment of the first part of the measured one comes in each. */
const FIRST_PART = 0.3;
const ZONES = 60;
const END_MS = 20_000;

const grid = { element: 'uint8', scale: 0.1, zeroPoint: 0 } as const;
const model = modelOf({ ...grid, shape: [4] }, [
  { kind: 'dense', weights: [1, 2, 3, 4, 4, 3, 2, 1], weightScale: 0.1, output: grid },
]);
const plan = planOrRefuse(model, { modelId: 3, modelVersion: 1 });
const entityCodec = v1Codec('Entity');

/** What a device may hold: entries by key, as bytes, and the cookie of its program. */
interface State {
  readonly cookie: bigint | undefined;
  readonly entries: ReadonlyMap<string, string>;
}

const encoded = (entity: Entity): string => Buffer.from(entityCodec.encode(entity)).toString('base64');
const same = (a: State, b: State): boolean =>
  a.cookie === b.cookie &&
  a.entries.size === b.entries.size &&
  [...a.entries].every(([key, bytes]) => b.entries.get(key) === bytes);

async function read(client: P4Client): Promise<State> {
  const config = await client.pipeline.get();
  const requests = [{ tableEntry: {} }, { tableEntry: { isDefaultAction: true } }];
  const entities = config === undefined ? [] : (await client.readAll(requests)).filter(isHeld);
  return {
    cookie: config?.cookie?.cookie,
    entries: new Map(entities.map((e) => [entityKey(e), encoded(e)])),
  };
}

function after({ cookie, entries }: State, updates: readonly Update[]): State {
  const next = new Map(entries);
  for (const { type, entity } of updates)
    if (type === 'DELETE' || !isHeld(entity!)) next.delete(entityKey(entity!));
    else next.set(entityKey(entity!), encoded(entity!));
  return { cookie, entries: next };
}

/** A call of one thread: the first, the second, ... of its name. */
export interface Moment {
  readonly call: string;
  readonly count: number;
}

const agentArguments = ({ agentName, netns, stateFolder, ports }: Network): string[] => [
  ...['agent', '--name', agentName, '--device-id', '1', '--json', '--netns', netns, '--state', stateFolder],
  ...ports.flatMap(({ name, port }) => ['--interface', `${name}=${port}`]),
];

/** An agent outlives the strace that watched it. */
const living = new Set<number>();
process.on('exit', () => {
  for (const pid of living) process.kill(pid, 'SIGKILL');
});

/** An agent whose system calls are watched, and which is killed at one of them. */
class Victim {
  readonly ended: Promise<void>;
  readonly #ready: Promise<{ address: string; pid: number } | undefined>;
  #pid: number | undefined;

  constructor(command: readonly string[], { call, count }: Moment | { call: undefined; count: string }) {
    const rule =
      call === undefined
        ? ['-o', count]
        : ['-o', '/dev/null', '-e', `inject=${call}:signal=KILL:when=${count}`];
    const trace = `trace=${call ?? CALLS.map((name) => `?${name}`).join()}`;
    const child = spawn('strace', ['-f', '-qq', '-e', trace, ...rule, ...command], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.ended = new Promise((resolve) => child.once('exit', () => resolve()));
    const line = new Promise<string>((resolve) => createInterface(child.stdout!).once('line', resolve));
    this.#ready = Promise.race([line, this.ended]).then((text) => {
      if (typeof text !== 'string') return undefined;
      const ready: { address: string; pid: number } = JSON.parse(text);
      this.#pid = ready.pid;
      living.add(ready.pid);
      void this.ended.then(() => living.delete(ready.pid));
      return ready;
    });
  }

  /** Undefined where it was killed before it was ready. */
  async address(): Promise<string | undefined> {
    return (await this.#ready)?.address;
  }

  /** Ends it where it is not dead yet. @returns whether it was alive */
  async end(): Promise<boolean> {
    const dead = await Promise.race([this.ended.then(() => true), wait(200, false)]);
    if (!dead && this.#pid !== undefined) process.kill(this.#pid, 'SIGTERM');
    if ((await Promise.race([this.ended.then(() => true), wait(END_MS, false)])) === false)
      throw new Error('an agent did not end');
    return !dead;
  }
}

/** What is done to an agent until it is dead: what it may hold then is always known. */
class Ordeal {
  readonly #network: Network;
  readonly #command: readonly string[];
  readonly #pipeline: PipelineConfig;
  readonly #entities: Entities;
  readonly #random: Random;
  #possible: readonly State[] = [{ cookie: undefined, entries: new Map() }];
  #bid = 1n;
  #cookie = 0n;
  acknowledged = 0;
  readonly faults: string[] = [];

  constructor(network: Network, command: readonly string[], pipeline: PipelineConfig, r: Random) {
    this.#network = network;
    this.#command = command;
    this.#pipeline = pipeline;
    this.#entities = new Entities(plan, pipeline.p4info);
    this.#random = r;
  }

  /** One life. @returns whether it was killed */
  async live(moment: Moment | { call: undefined; count: string }, label: string): Promise<boolean> {
    const victim = new Victim([...this.#command, ...agentArguments(this.#network)], moment);
    const address = await victim.address();
    let client: P4Client | undefined;
    try {
      if (address !== undefined) {
        client = await connect(address, { electionId: ++this.#bid, timeoutMs: END_MS });
        await this.#compare(client, label);
        const steps = moment.call === undefined ? MEASURED_STEPS : MOST_STEPS;
        for (let i = 0; i < steps; i++) await this.#step(client);
      }
    } catch (error) {
      // Only a death may end a step.
      if (await Promise.race([victim.ended.then(() => false), wait(2_000, true)]))
        this.#fault(`${label}: ${error instanceof Error ? error.message : error}`);
    }
    client?.close();
    const killed = !(await victim.end());
    this.#passes(label);
    return killed;
  }

  async #compare(client: P4Client, label: string): Promise<void> {
    const found = await read(client);
    if (!this.#possible.some((state) => same(state, found))) {
      const [first] = this.#possible;
      const keys = [...new Set([...first!.entries.keys(), ...found.entries.keys()])];
      const other = keys.filter((key) => first!.entries.get(key) !== found.entries.get(key));
      this.#fault(
        `${label}: cookie ${found.cookie}, not ${first!.cookie}; ${other.length} entries differ: ${other.slice(0, 3).join()}`,
      );
    }
    this.#possible = [found];
  }

  async #step(client: P4Client): Promise<void> {
    const [now] = this.#possible;
    const r = this.#random;
    if (now!.cookie === undefined || r.chance(0.04)) {
      const cookie = ++this.#cookie;
      const next = { cookie, entries: new Map<string, string>() };
      this.#possible = [now!, next];
      await client.pipeline.commit({ ...this.#pipeline, cookie });
      this.#possible = [next];
    } else {
      const updates = this.#updates(now!);
      this.#possible = updates.map((_, i) => after(now!, updates.slice(0, i))).concat(after(now!, updates));
      await client.write(updates);
      this.#possible = this.#possible.slice(-1);
    }
    this.acknowledged++;
  }

  #updates({ entries }: State): Update[] {
    const e = this.#entities;
    const whole = [...e.installation(), e.port(1, 2)];
    const missing = whole.filter((entity) => !entries.has(entityKey(entity)));
    if (missing.length > 0) return missing.map(insertion);
    const r = this.#random;
    if (r.chance(0.1)) return this.#flip(entries);
    const zones = new Set(Array.from({ length: r.int(1, 4) }, () => r.int(1, ZONES)));
    return [...zones].map((zone) => {
      const entity = e.zone(zone);
      return entries.has(entityKey(entity)) ? removal(entity) : insertion(entity);
    });
  }

  /** The second version comes, or goes. */
  #flip(entries: State['entries']): Update[] {
    const e = this.#entities;
    const second = [...e.weights(planReplacement(plan, model, 2), 1), e.version(2, 2, 1)];
    return entries.has(entityKey(second.at(-1)!)) ? second.reverse().map(removal) : second.map(insertion);
  }

  /** The data plane computes, if whatever may be there says so. */
  #passes(label: string): void {
    const e = this.#entities;
    const needed = [...e.installation(), e.port(1, 2)].map((entity) => entityKey(entity));
    if (!this.#possible.every(({ entries }) => needed.every((key) => entries.has(key)))) return;
    const [from, to] = this.#network.ports.map(({ socket }) => socket);
    to!.receive();
    from!.send(requestFrame(plan, Uint8Array.of(1, 2, 3, 4)));
    this.#pending.push(
      to!.until(1).then(([frame]) => {
        const kind = frame && decodePacket(framePayload(frame)!)?.header.kind;
        if (kind !== packetKinds.result) this.#fault(`${label}: the data plane does not compute`);
      }),
    );
  }

  readonly #pending: Promise<void>[] = [];
  async settle(): Promise<void> {
    await Promise.all(this.#pending.splice(0));
  }

  #fault(text: string): void {
    if (this.faults.length < MOST_FAULTS) this.faults.push(text);
  }
}

/** How often a thread made each call in one life: the most of all threads. */
function callsOf(trace: string): Map<string, number> {
  const counts = new Map<string, number>();
  const most = new Map<string, number>();
  for (const [, thread, call] of trace.matchAll(/^(\d+)\s+(\w+)\(/gm)) {
    const key = `${thread} ${call}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    most.set(call!, Math.max(most.get(call!) ?? 0, counts.get(key)!));
  }
  return most;
}

/** So many of the moments of one life, of each call in turn, evenly over its first part. */
function momentsOf(most: ReadonlyMap<string, number>, count: number): Moment[] {
  const parts = [...most].map(([call, times]) => ({ call, times: Math.ceil(FIRST_PART * times) }));
  const total = parts.reduce((sum, { times }) => sum + times, 0);
  return parts.flatMap(({ call, times }) => {
    const share = Math.min(times, Math.ceil((times / total) * count) + 3);
    return Array.from({ length: share }, (_, i) => ({ call, count: Math.ceil(((i + 1) * times) / share) }));
  });
}

/** Kills an agent again and again, each time at another system call, and looks at what the next finds. */
export async function killAgain(
  kills: number,
  seed: number,
  command: readonly string[],
  onLife: (moment: Moment, wasKilled: boolean) => void = () => {},
): Promise<Outcome> {
  const r = random(seed);
  const folder = mkdtempSync(join(tmpdir(), 'itattack-'));
  const network = layNetwork(2);
  const figures = { kills: 0, beforeReady: 0, lives: 0, systemCalls: 0, acknowledged: 0 };
  try {
    const ordeal = new Ordeal(network, command, await pipelineOf(plan), r);
    const trace = join(folder, 'trace');
    await ordeal.live({ call: undefined, count: trace }, 'the first life');
    const most = callsOf(readFileSync(trace, 'utf8'));
    const moments = momentsOf(most, 2 * kills);
    const calls = new Set<string>();
    while (figures.kills < kills && moments.length > 0) {
      const [moment] = moments.splice(r.int(0, moments.length - 1), 1);
      figures.lives++;
      const before = ordeal.acknowledged;
      const wasKilled = await ordeal.live(moment!, `killed at ${moment!.call} ${moment!.count}`);
      onLife(moment!, wasKilled);
      if (!wasKilled) continue;
      await ordeal.settle();
      figures.kills++;
      calls.add(moment!.call);
      if (ordeal.acknowledged === before) figures.beforeReady++;
    }
    await ordeal.live({ call: undefined, count: trace }, 'the last life');
    await ordeal.settle();
    figures.systemCalls = calls.size;
    figures.acknowledged = ordeal.acknowledged;
    const faults = [...ordeal.faults];
    if (figures.kills < kills) faults.push(`only ${figures.kills} of ${kills} moments were met`);
    return { figures, faults };
  } finally {
    network[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}

export const lacksForKills = (): string | undefined =>
  process.getuid?.() !== 0
    ? 'needs root'
    : spawnSync('strace', ['-V']).status === 0
      ? undefined
      : 'strace is missing';

/** The command line as it stands. */
export const FROM_SOURCE = [process.execPath, '--import', 'tsx', 'src/cli/main.ts'] as const;

const BUILT = 'dist/cli/main.js';

export const kills: Attack = {
  name: 'kills at system calls, agent',
  what: 'an acknowledged write that is lost, one that is half there, a data plane that stops',
  lacks: lacksForKills,
  async run({ seed, scale }) {
    // Compiled, an agent starts in a fraction of the time.
    const built =
      spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'ignore' }).status === 0 && existsSync(BUILT);
    const command = built ? [process.execPath, BUILT] : FROM_SOURCE;
    return killAgain(Math.round(KILLS * scale), seed, command);
  },
};
