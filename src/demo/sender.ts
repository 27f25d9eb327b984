/**
 * Child process of the demo, inside the edge's namespace: sends rows as UDP requests and writes the answers in the order
 * of the rows. Takes its task as JSON in its only argument, prints statistics.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createWireSender, type WireShape } from '../ends/edge/index.ts';

/** What the parent asks of the sender, as JSON. */
export interface SenderTask {
  readonly rowsFile: string;
  readonly answersFile: string;
  readonly shape: WireShape;
  readonly modelId: number;
  readonly modelVersion: number;
  readonly address: string;
  readonly port: number;
  /** Times that all rows are sent. */
  readonly passes: number;
  /** Requests under way at a time. */
  readonly window: number;
}

/** What the sender prints, as JSON, when it ends. */
export interface SenderReport {
  readonly sent: number;
  readonly answered: number;
  readonly seconds: number;
}

async function send({ rowsFile, answersFile, shape, address, port, passes, ...options }: SenderTask) {
  const rows = readFileSync(rowsFile);
  const sender = await createWireSender(shape, { ...options, to: { host: address, port } });
  const all = Buffer.concat(Array.from({ length: passes }, () => rows));
  const { answers, statistics } = await sender.send(all);
  await sender.close();
  const onePass = (rows.length / shape.input.count) * shape.output.count;
  writeFileSync(answersFile, answers.subarray(0, onePass));
  const { sent, answered, seconds } = statistics;
  return { sent, answered, seconds } satisfies SenderReport;
}

process.stdout.write(JSON.stringify(await send(JSON.parse(process.argv[2]!) as SenderTask)));
