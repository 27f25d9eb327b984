/**
 * Child process of the split path's test: sends rows to a worker without a pause until a line comes on stdin, then prints what
 * came back. Takes its task as JSON in its only argument.
 */
import { readFileSync } from 'node:fs';
import { createSender } from '../../src/ends/edge/index.ts';
import { importJson } from '../../src/import/json/index.ts';
import { Answers } from './traffic.ts';

export interface SplitTask {
  readonly to: string;
  readonly rows: string;
  readonly rowBytes: number;
  /** Model files by version. */
  readonly models: Readonly<Record<number, string>>;
  readonly perSecond: number;
}

export interface SplitReport {
  readonly sent: number;
  readonly seconds: number;
  readonly lost: number;
  readonly reasons: readonly string[];
  /** Answers that are none of the versions'. */
  readonly mixed: number;
  readonly retried: number;
  /** Answers by who made them. */
  readonly network: number;
  readonly worker: number;
  /** Answers by the version that they name. */
  readonly byVersion: Readonly<Record<string, number>>;
}

const task = JSON.parse(process.argv[2]!) as SplitTask;
const modelOf = (file: string) => importJson(readFileSync(file, 'utf8'), file).model;
const models = new Map(Object.entries(task.models).map(([v, file]) => [Number(v), modelOf(file)]));
const rows = readFileSync(task.rows).subarray(0, task.rowBytes * 200);
const [model] = models.values();
const answers = new Answers(model!, rows, models);
const sender = await createSender({
  model: model!,
  to: { host: task.to, port: 18858 },
  rate: task.perSecond,
  timeoutMs: 300,
  retries: 8,
});

let stopped = false;
process.stdin.once('data', () => {
  stopped = true;
});
let [sent, lost, mixed, retried, network, worker] = [0, 0, 0, 0, 0, 0];
const byVersion: Record<string, number> = {};
const reasons = new Set<string>();
const started = performance.now();
console.log('ready');
while (!stopped) {
  const result = await sender.send(rows);
  sent += answers.count;
  lost += result.lost.length;
  for (const { reason } of result.lost) reasons.add(reason);
  retried += result.statistics.retried;
  network += result.statistics.by.network;
  worker += result.statistics.by.worker;
  for (const [version, n] of Object.entries(result.statistics.versions))
    byVersion[version] = (byVersion[version] ?? 0) + n;
  const gone = new Set(result.lost.map(({ row }) => row));
  for (let row = 0; row < answers.count; row++) {
    const own = result.answers.subarray(row * answers.outputs, (row + 1) * answers.outputs);
    const known = [...models.keys()].some((v) => Buffer.compare(own, answers.of(v, row)!) === 0);
    if (!gone.has(row) && !known) mixed++;
  }
}
const seconds = (performance.now() - started) / 1000;
await sender.close();
const report: SplitReport = {
  ...{ sent, seconds, lost, mixed, retried, network, worker, byVersion },
  reasons: [...reasons],
};
console.log(JSON.stringify(report));
process.exit(0);
