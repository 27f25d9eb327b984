/**
 * Child process of the demo, inside the edge's namespace: sends rows as UDP requests, at most a window of them under
 * way, and writes the answers in the order of the rows. Takes its task as JSON in its only argument, prints statistics.
 */
import { createSocket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
import type { ElementType } from '../model/tensor.ts';
import { decodePacket, encodePacket, packetKinds, requestPacket } from '../wire/index.ts';

export interface SenderTask {
  readonly rowsFile: string;
  readonly answersFile: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly element: ElementType;
  readonly layerCount: number;
  readonly modelId: number;
  readonly modelVersion: number;
  readonly address: string;
  readonly port: number;
  /** Times that all rows are sent. */
  readonly passes: number;
  /** Requests under way at a time. */
  readonly window: number;
}

export interface SenderReport {
  readonly sent: number;
  readonly answered: number;
  readonly seconds: number;
}

/** Without any answer for so long, what is under way is taken as lost. */
const SILENCE_MS = 500;

async function send(task: SenderTask): Promise<SenderReport> {
  const rows = readFileSync(task.rowsFile);
  const count = rows.length / task.inputs;
  const answers = new Uint8Array(count * task.outputs);
  const total = count * task.passes;
  const socket = createSocket('udp4');
  let sent = 0;
  let answered = 0;
  let heard = performance.now();

  const requests = Array.from({ length: count }, (_, row) =>
    encodePacket(
      requestPacket(rows.subarray(row * task.inputs, (row + 1) * task.inputs), {
        ...task,
        turnRound: true,
        sequence: row,
      }),
    ),
  );
  const next = () => {
    if (sent < total) socket.send(requests[sent++ % count]!, task.port, task.address);
  };
  const started = performance.now();
  await new Promise<void>((resolve) => {
    const silence = setInterval(() => {
      if (performance.now() - heard > SILENCE_MS) resolve();
    }, 100);
    socket.on('message', (payload) => {
      const packet = decodePacket(payload);
      if (packet?.header.kind !== packetKinds.result || packet.activations.length !== task.outputs) return;
      answers.set(packet.activations, packet.header.sequence * task.outputs);
      heard = performance.now();
      if (++answered === total) resolve();
      else next();
    });
    socket.bind(0, () => {
      for (let i = 0; i < task.window; i++) next();
    });
    socket.once('close', () => clearInterval(silence));
  });
  const seconds = (heard - started) / 1000;
  socket.close();
  writeFileSync(task.answersFile, answers);
  return { sent, answered, seconds };
}

process.stdout.write(JSON.stringify(await send(JSON.parse(process.argv[2]!) as SenderTask)));
