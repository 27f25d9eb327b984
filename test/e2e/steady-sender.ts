/**
 * Child process inside a host: sends the first rows of a model again and again until its stdin ends, compares every answer with
 * the reference, and prints what it has seen.
 */
import { readFileSync } from 'node:fs';
import { createSender } from '../../src/ends/edge/index.ts';
import { importModel } from '../../src/import/index.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';

export interface SteadyTask {
  readonly model: string;
  readonly input: string;
  readonly host: string;
  /** Rows a round. */
  readonly rows: number;
  /** Rows a second. */
  readonly rate: number;
}

export interface SteadyReport {
  readonly rows: number;
  readonly lost: number;
  /** Answers that are not the reference's, and answers to one row that differ. */
  readonly wrong: number;
  readonly retried: number;
  readonly byNetwork: number;
  readonly byWorker: number;
  readonly longestPauseMs: number;
}

const task = JSON.parse(process.argv[2]!) as SteadyTask;
const { model } = await importModel(task.model);
const rows = readFileSync(task.input).subarray(0, task.rows * elementCount(model.input.shape));
const expected = interpretRows(model, rows);
const width = expected.length / task.rows;

let ended = false;
process.stdin.on('end', () => {
  ended = true;
});
process.stdin.resume();

// Sent again soon and often: what is measured is the network, not the patience of the sender.
const patience = { timeoutMs: 100, retries: 100 };
const sender = await createSender({ model, to: { host: task.host }, rate: task.rate, ...patience });
const report = { rows: 0, lost: 0, wrong: 0, retried: 0, byNetwork: 0, byWorker: 0, longestPauseMs: 0 };
while (!ended) {
  const { answers, by, statistics } = await sender.send(rows);
  report.rows += statistics.rows;
  report.lost += statistics.lost;
  report.retried += statistics.retried;
  report.byNetwork += statistics.by.network;
  report.byWorker += statistics.by.worker;
  report.wrong += statistics.differing;
  report.longestPauseMs = Math.max(report.longestPauseMs, statistics.longestPauseMs);
  for (let row = 0; row < task.rows; row++) {
    const [from, to] = [row * width, (row + 1) * width];
    if (by[row] !== 0 && Buffer.compare(answers.subarray(from, to), expected.subarray(from, to)) !== 0)
      report.wrong++;
  }
}
await sender.close();
process.stdout.write(JSON.stringify(report satisfies SteadyReport));
