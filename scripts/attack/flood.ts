import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadWorkerModel } from '../../src/ends/worker/index.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { encodeFrame, encodePacket, requestPacket } from '../../src/wire/index.ts';
import { RawSocket } from '../../test/agent/raw-socket.ts';
import { random } from '../../test/support/random.ts';
import type { Attack } from './attack.ts';

const MODEL = 'examples/traffic-mlp.onnx';
const ROWS = 'examples/traffic-mlp.x.bin';
const HONEST_ROWS = 2000;
const SPOOFED_A_SECOND = 20_000;
const GRACE_S = 5;
const MAIN = ['--import', 'tsx', 'src/cli/main.ts'];

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' });

/** Two namespaces and a veth pair; the neighbour's address is fixed, so that frames of any source reach the worker. */
function twoHosts() {
  const [a, b] = [`itatk${process.pid}a`, `itatk${process.pid}b`] as const;
  const remove = () => {
    for (const ns of [a, b]) spawnSync('ip', ['netns', 'del', ns]);
  };
  remove();
  for (const ns of [a, b]) ip('netns', 'add', ns);
  ip('link', 'add', 'v0', 'netns', a, 'type', 'veth', 'peer', 'name', 'v0', 'netns', b);
  for (const [ns, address, mac] of [
    [a, '10.77.0.1/16', '02:00:00:00:77:0a'],
    [b, '10.77.0.2/16', '02:00:00:00:77:0b'],
  ] as const) {
    ip('-n', ns, 'link', 'set', 'v0', 'address', mac);
    ip('-n', ns, 'addr', 'add', address, 'dev', 'v0');
    for (const name of ['lo', 'v0']) ip('-n', ns, 'link', 'set', name, 'up');
  }
  // Answers to made-up addresses go out, so that they cost what they cost.
  ip('-n', a, 'route', 'add', 'default', 'via', '10.77.0.2');
  return { worker: a, neighbour: b, remove };
}

const inNamespace = (ns: string, argv: readonly string[]): ChildProcess =>
  spawn('ip', ['netns', 'exec', ns, process.execPath, ...MAIN, ...argv], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((done) => child.once('exit', (code) => done(code)));

async function firstLine(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout!) {
    text += chunk;
    if (text.includes('\n')) break;
  }
  return text.split('\n')[0]!;
}

/** Requests of random addresses, so many a second, until it is told to stop. */
function spoof(from: RawSocket, row: Uint8Array, seed: number): () => number {
  const r = random(seed);
  const { header, activations } = requestPacket(row, {
    ...{ modelId: 1, modelVersion: 0, layerCount: 3, element: 'uint8' },
  });
  const payload = encodePacket({ header, activations });
  let sent = 0;
  const started = performance.now();
  const timer = setInterval(() => {
    const due = Math.min(sent + 2000, ((performance.now() - started) / 1000) * SPOOFED_A_SECOND);
    for (; sent < due; sent++) {
      const frame = encodeFrame(
        {
          sourceMac: Uint8Array.of(2, 0, 0, 0, 0x77, 0x0b),
          destinationMac: Uint8Array.of(2, 0, 0, 0, 0x77, 0x0a),
          sourceIp: Uint8Array.of(198, 18 + r.int(0, 1), r.int(0, 255), r.int(1, 254)),
          destinationIp: Uint8Array.of(10, 77, 0, 1),
          sourcePort: r.int(1024, 65_535),
          destinationPort: 18_858,
        },
        payload,
      );
      from.send(frame);
    }
  }, 2);
  return () => {
    clearInterval(timer);
    return sent;
  };
}

/** A worker in one namespace; in the other a neighbour who floods it with made-up addresses, and an honest sender. */
export const flood: Attack = {
  name: 'flood of made-up addresses, worker',
  what: 'an honest sender that loses more than 1 % of its rows, a wrong answer, or a worker that does not end in its time',
  lacks: () => (process.getuid?.() === 0 ? undefined : 'needs root'),
  async run({ seed }) {
    const hosts = twoHosts();
    const folder = mkdtempSync(join(tmpdir(), 'ittest-attack-'));
    let worker: ChildProcess | undefined;
    let stop = () => 0;
    try {
      worker = inNamespace(hosts.worker, [
        'worker',
        MODEL,
        '--on',
        'reference',
        '--grace',
        `${GRACE_S}`,
        '--json',
      ]);
      await firstLine(worker);
      using raw = new RawSocket(hosts.neighbour, 'v0');
      const rows = readFileSync(ROWS).subarray(0, HONEST_ROWS * 16);
      stop = spoof(raw, rows.subarray(0, 16), seed);
      const answers = join(folder, 'answers');
      const sender = inNamespace(hosts.neighbour, [
        ...['send', MODEL, '--to', '10.77.0.1', '--input', ROWS, '--rows', `${HONEST_ROWS}`],
        ...['--output', answers, '--partial', '--json'],
      ]);
      let report = '';
      sender.stdout!.on('data', (chunk) => {
        report += chunk;
      });
      await ended(sender);
      const { answered, challenged, lostRows } = JSON.parse(report);
      const asked = performance.now();
      worker.kill('SIGTERM');
      const code = await ended(worker);
      const endedMs = Math.round(performance.now() - asked);
      const spoofed = stop();
      const { model } = await loadWorkerModel(MODEL);
      const wrong = wrongRows(readFileSync(answers), interpretRows(model, rows), lostRows);
      const faults = [
        ...(answered < 0.99 * HONEST_ROWS ? [`${answered} of ${HONEST_ROWS} honest rows were answered`] : []),
        ...(wrong > 0 ? [`${wrong} answers were wrong`] : []),
        ...(code === 0 && endedMs <= (GRACE_S + 5) * 1000
          ? []
          : [`the worker ended with ${code} after ${endedMs} ms`]),
      ];
      return { figures: { spoofed, rows: HONEST_ROWS, answered, challenged, wrong, endedMs }, faults };
    } finally {
      stop();
      worker?.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
      hosts.remove();
    }
  },
};

function wrongRows(
  given: Uint8Array,
  expected: Uint8Array,
  lost: readonly { readonly row: number }[],
): number {
  const width = expected.length / HONEST_ROWS;
  const without = new Set(lost.map(({ row }) => row));
  let wrong = 0;
  for (let row = 0; row < HONEST_ROWS; row++) {
    const [a, b] = [given, expected].map((of) => of.subarray(row * width, (row + 1) * width));
    if (!without.has(row) && Buffer.compare(a!, b!) !== 0) wrong++;
  }
  return wrong;
}
