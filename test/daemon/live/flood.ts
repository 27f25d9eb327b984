/** Child process of a scene: asks a worker for whole models, more at a time than it computes, until it is killed. */
import { readFileSync } from 'node:fs';
import { createSender } from '../../../src/ends/edge/index.ts';
import { importModel } from '../../../src/import/index.ts';

const [file, input, host, modelId] = process.argv.slice(2) as [string, string, string, string];
const { model } = await importModel(file);
const rows = readFileSync(input);
const options = { model, to: { host }, modelId: Number(modelId), window: 3500, timeoutMs: 2000, retries: 2 };
const senders = await Promise.all([0, 1, 2, 3].map(() => createSender(options)));
console.log('ready');
for (;;) await Promise.all(senders.map((sender) => sender.send(rows)));
