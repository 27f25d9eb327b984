/**
 * Child process of the agents' test: steady requests into one interface, answers out of another, at a rate that does not
 * wait for the controller, which works in another process. Takes its task as JSON in its only argument; a line on stdin
 * ends it, and it prints what it saw.
 */
import { readFileSync } from 'node:fs';
import { importJson } from '../../src/import/json/index.ts';
import { encodeFrame, fieldOffset, framePayload, OUTER_BYTES } from '../../src/wire/index.ts';
import { RawSocket } from '../agent/raw-socket.ts';
import { ADDRESSES, Answers, type TrafficReport } from './traffic.ts';

export interface RawTask {
  readonly into: readonly [netns: string, name: string];
  readonly outOf: readonly [netns: string, name: string];
  readonly rows: string;
  readonly rowBytes: number;
  /** Model files by version. */
  readonly models: Readonly<Record<number, string>>;
  readonly perSecond: number;
}

const task = JSON.parse(process.argv[2]!) as RawTask;
const modelOf = (file: string) => importJson(readFileSync(file, 'utf8'), file).model;
const models = new Map(Object.entries(task.models).map(([v, file]) => [Number(v), modelOf(file)]));
const rows = readFileSync(task.rows);
const answers = new Answers([...models.values()][0]!, rows.subarray(0, task.rowBytes * 200), models);

const SEQUENCE = OUTER_BYTES + fieldOffset('sequence');
const frames = Array.from({ length: answers.count }, (_, row) => {
  const frame = Buffer.from(encodeFrame(ADDRESSES, answers.payload(row, row)));
  // Without a checksum the sequence number can be set in place.
  return frame.fill(0, OUTER_BYTES - 2, OUTER_BYTES);
});

const into = new RawSocket(...task.into);
const outOf = new RawSocket(...task.outOf);
let [sent, received, wrong, untouched] = [0, 0, 0, 0];
const byVersion: Record<number, number> = {};
const started = performance.now();
let ending: number | undefined;

/** Queues of the kernel hold 1,000 frames: a pause of this process must not end in a burst that they drop. */
const BURST = 200;

function send(): void {
  const due = Math.floor(((performance.now() - started) * task.perSecond) / 1000);
  for (const end = Math.min(due, sent + BURST); sent < end; sent++) {
    const frame = frames[sent % frames.length]!;
    frame.writeUInt32BE(sent, SEQUENCE);
    try {
      into.send(frame);
    } catch {
      return; // No room: this one was not sent.
    }
  }
}

function receive(): void {
  for (const frame of outOf.receive()) {
    const payload = framePayload(frame);
    if (payload === undefined) continue;
    received++;
    const { version, right, computed } = answers.judge(payload);
    if (!computed) untouched++;
    else if (!right) wrong++;
    byVersion[version] = (byVersion[version] ?? 0) + 1;
  }
}

process.stdin.once('data', () => {
  ending = performance.now();
});
console.log('ready');
const PATIENCE_MS = 2_000;
const timer = setInterval(() => {
  if (ending === undefined) send();
  receive();
  if (ending === undefined || (received < sent && performance.now() - ending < PATIENCE_MS)) return;
  clearInterval(timer);
  const perSecond = Math.round((sent * 1000) / (ending - started));
  const report: TrafficReport = { sent, perSecond, lost: sent - received, wrong, untouched, byVersion };
  console.log(JSON.stringify(report));
  process.stdin.unref();
  process.exit(0);
}, 1);
