/**
 * Child process of a scene: begins jobs of a service at a steady rate, each a request of its own. A job asks whom the controller's weights
 * give it to, stays with that worker, is sent again until it has an answer, and compares that with what is right. Lines on stdin: `mark`
 * answers with what was seen since the last one, `stop` begins no more jobs, waits for the last answers, and ends.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControllerClient } from '../../../src/daemon/client/index.ts';
import type { Resolution } from '../../../src/daemon/names/resolve.ts';
import { connectSocket } from '../../../src/ends/common/socket.ts';
import { patience } from '../../../src/ends/edge/deadlines.ts';
import { isAmong, memberFor, type Peer } from '../../../src/ends/edge/index.ts';
import { importModel } from '../../../src/import/index.ts';
import { outputType } from '../../../src/model/model.ts';
import { tensorBytes } from '../../../src/model/tensor.ts';
import {
  decodePacket,
  encodePacket,
  flagWorker,
  packetKinds,
  packetOutcomes,
  requestPacket,
} from '../../../src/wire/index.ts';

export interface JobsTask {
  readonly model: string;
  readonly input: string;
  /** What is right by version, recorded: one row after the other. */
  readonly expected: Readonly<Record<number, string>>;
  readonly modelId: number;
  readonly service: string;
  /** Addresses of controllers; whichever answers first. */
  readonly controllers: readonly string[];
  readonly perSecond: number;
}

export interface JobsReport {
  readonly seconds: number;
  readonly begun: number;
  readonly answered: number;
  readonly wrong: number;
  /** Jobs that had no answer after all tries. */
  readonly lost: number;
  readonly retried: number;
  /** Between two answers, ms. */
  readonly longestPauseMs: number;
  /** Jobs begun by the worker that they were given to. */
  readonly given: Readonly<Record<string, number>>;
  /** Answers by the version that they name. */
  readonly versions: Readonly<Record<number, number>>;
  /** Answers that devices gave, and that workers did. */
  readonly network: number;
  readonly worker: number;
  /** Errors of nodes by reason; such a job is asked for again. */
  readonly errors: Readonly<Record<string, number>>;
}

const RETRY_MS = 100;
const MOST_TRIES = 100;
/** Jobs without an answer, as a time of their rate, s: more are not begun, so that a busy machine is not kept busy by them. */
const MOST_OPEN_S = 0.5;
const RESOLVE_MS = 100;
const TICK_MS = 2;

const task = JSON.parse(process.argv[2]!) as JobsTask;
const { model } = await importModel(task.model);
const width = tensorBytes(model.input);
const input = readFileSync(task.input);
const expected = new Map(
  Object.entries(task.expected).map(([version, file]) => [Number(version), readFileSync(file)]),
);
const outWidth = tensorBytes(outputType(model));
const rows = Math.min(input.length / width, ...[...expected.values()].map((e) => e.length / outWidth));

interface Member {
  readonly name: string;
  readonly address: string;
  readonly weight: number;
}
interface Job {
  readonly id: bigint;
  readonly row: number;
  member: Member;
  /** That it asks for; 0 for the current one. */
  version: number;
  sentAt: number;
  tries: number;
}

let members: readonly Member[] = [];
let canary: Resolution['models'][number]['canary'];
const versionFor = (id: bigint): number =>
  canary !== undefined && isAmong(id, canary.percent) ? canary.version : 0;
const sockets = new Map<string, Awaited<ReturnType<typeof connectSocket>>>();
const jobs = new Map<bigint, Job>();
let lastAnswer: number | undefined;
const fresh = () => ({
  ...{ since: performance.now(), begun: 0, answered: 0, wrong: 0, lost: 0, retried: 0 },
  ...{ longestPauseMs: 0, network: 0, worker: 0 },
  given: {} as Record<string, number>,
  versions: {} as Record<number, number>,
  errors: {} as Record<string, number>,
});
let seen = fresh();

async function resolveOnce(): Promise<void> {
  for (const url of task.controllers) {
    try {
      const path = `/api/v1alpha1/names/${encodeURIComponent(`service/${task.service}`)}`;
      const found = await new ControllerClient({ url }).get<{ readonly items: readonly Resolution[] }>(path);
      const own = (found.items[0]?.addresses ?? []).flatMap(({ node, address, protocol, weight }) =>
        protocol === 'intransit+udp' && node !== undefined ? [{ name: node, address, weight }] : [],
      );
      for (const { address } of own) if (!sockets.has(address)) await dial(address);
      // Where nobody is named, what was known is better.
      if (own.length > 0) members = own;
      if (own.length > 0) canary = found.items[0]?.models[0]?.canary;
      return;
    } catch {
      // Another one is asked; where none answers, jobs go on by what is known.
    }
  }
}

async function dial(address: string): Promise<void> {
  const [host, port] = address.split(':');
  const peer: Peer = { host: host!, port: Number(port) };
  const socket = await connectSocket(peer);
  socket.on('error', () => {});
  socket.on('message', (payload) => receive(payload, address));
  sockets.set(address, socket);
}

function send(job: Job, now: number): void {
  job.sentAt = now;
  job.tries++;
  const { modelId } = task;
  const { element } = model.input;
  const tensor = input.subarray(job.row * width, (job.row + 1) * width);
  const common = {
    modelId,
    modelVersion: job.version,
    layerCount: model.layers.length,
    element,
    turnRound: true,
  };
  const packet = encodePacket(requestPacket(tensor, { ...common, jobId: job.id, sequence: job.row }));
  sockets.get(job.member.address)?.send(packet, () => {});
}

function receive(payload: Buffer, address: string): void {
  const packet = decodePacket(payload);
  if (packet === undefined) return;
  const { header, activations } = packet;
  const job = jobs.get(header.jobId);
  if (job === undefined) return;
  if (header.kind === packetKinds.challenge) {
    const own = {
      kind: packetKinds.proof,
      fragmentIndex: 0,
      fragmentCount: 1,
      elementCount: activations.length,
    };
    sockets.get(address)!.send(encodePacket({ header: { ...header, ...own }, activations }), () => {});
    return;
  }
  if (header.kind === packetKinds.error) {
    const reason = packetOutcomes[activations[0]!]?.name ?? 'unknown';
    seen.errors[reason] = (seen.errors[reason] ?? 0) + 1;
  }
  if (header.kind !== packetKinds.result) return;
  const now = performance.now();
  jobs.delete(job.id);
  seen.answered++;
  if (header.flags & flagWorker) seen.worker++;
  else seen.network++;
  if (lastAnswer !== undefined) seen.longestPauseMs = Math.max(seen.longestPauseMs, now - lastAnswer);
  lastAnswer = now;
  const { modelVersion } = header;
  seen.versions[modelVersion] = (seen.versions[modelVersion] ?? 0) + 1;
  const right = expected.get(modelVersion)?.subarray(job.row * outWidth, (job.row + 1) * outWidth);
  const isAsked = job.version === 0 || job.version === modelVersion;
  if (!isAsked || right === undefined || Buffer.compare(right, activations) !== 0) seen.wrong++;
}

/** Jobs of which nothing was heard are sent again, to the worker that they have as long as that is named. */
function sendAgain(now: number): void {
  for (const job of jobs.values()) {
    // Jobs stand in the order in which they began: those after this one are younger.
    if (job.tries === 1 && now - job.sentAt < RETRY_MS) return;
    if (now - job.sentAt < patience(RETRY_MS, job.tries - 1)) continue;
    if (job.tries > MOST_TRIES) {
      jobs.delete(job.id);
      seen.lost++;
      continue;
    }
    if (!members.some((m) => m.name === job.member.name))
      job.member = memberFor(job.id, members) ?? job.member;
    // The version that it asked for may have been taken back.
    job.version = versionFor(job.id);
    seen.retried++;
    send(job, now);
  }
}

function report(): JobsReport {
  const { since, ...rest } = seen;
  return { seconds: (performance.now() - since) / 1000, ...rest };
}

await resolveOnce();
let isStopped = false;
const resolving = (async () => {
  while (!isStopped) {
    await resolveOnce();
    await sleep(RESOLVE_MS);
  }
})();
createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'stop') isStopped = true;
  else {
    console.log(JSON.stringify(report()));
    seen = fresh();
  }
});

let began = 0;
// A pause of this process is no burst afterwards.
const MOST_AT_ONCE = Math.ceil(task.perSecond / 20);
let owed = 0;
let before = performance.now();
console.log('ready');
while (!isStopped || jobs.size > 0) {
  const now = performance.now();
  owed = Math.min(MOST_AT_ONCE, owed + ((now - before) * task.perSecond) / 1000);
  before = now;
  for (; !isStopped && owed >= 1; owed--) {
    if (jobs.size > MOST_OPEN_S * task.perSecond) continue;
    const id = (BigInt(process.pid) << 40n) | BigInt(++began);
    const member = memberFor(id, members);
    if (member === undefined) continue;
    const job = { id, row: began % rows, member, version: versionFor(id), sentAt: now, tries: 0 };
    jobs.set(id, job);
    seen.begun++;
    seen.given[member.name] = (seen.given[member.name] ?? 0) + 1;
    send(job, now);
  }
  sendAgain(now);
  await sleep(TICK_MS);
}
await resolving;
console.log(JSON.stringify(report()));
for (const socket of sockets.values()) socket.close();
process.exit();
