import { freemem, hostname } from 'node:os';
import type { Argv } from 'yargs';
import type { Diagnostic } from '../../diagnostics/index.ts';
import type { HttpDoor } from '../../doors/http.ts';
import { type DoorListen, insecureWarning, listenFault } from '../../doors/rules.ts';
import type { Worker } from '../../ends/worker/index.ts';
import { importOptionsOf } from '../../import/given-options.ts';
import { advertised, announce, announceOptions, checkAnnounce, nodeName } from '../announce.ts';
import { doorOf, doorOptions } from '../door-options.ts';
import { parseEndpoint } from '../endpoint.ts';
import { inferenceOptions, openInference, servingOf, upstreamOf } from '../inference-options.ts';
import { untilInterrupted } from '../interrupted.ts';
import { type Io, printDiagnostics, printJsonLine, printLine } from '../io.ts';
import {
  type ArgumentsOf,
  defineCommand,
  importOptions,
  inRange,
  realNumber,
  textOption,
  wholeNumber,
} from '../options.ts';
import { UsageError } from '../usage.ts';

// Long: options, a few lines each.
const usage = {
  command: 'worker [model]',
  describe: 'Finish the layers that the path has left, until it is interrupted',
  builder: (y: Argv) =>
    inferenceOptions(announceOptions(doorOptions(importOptions(y), 'worker')))
      .positional('model', {
        type: 'string',
        describe: 'Model file: ONNX, TFLite, or JSON of quantised layers; with --control it may come later',
      })
      .option(
        'control',
        textOption(
          'unix:PATH, or HOST:PORT with TLS: where a controller brings versions and takes them away',
        ),
      )
      .option('name', textOption('With --controller: by which it is known there; default of host and port'))
      .option('listen', {
        type: 'string',
        default: '0.0.0.0',
        describe: 'HOST[:PORT] of requests; port 0 is any free one',
        requiresArg: true,
      })
      .option('on', {
        choices: ['auto', 'onnxruntime', 'reference'] as const,
        default: 'auto' as const,
        describe: 'What computes; auto is ONNX Runtime where it gives the integers of the reference',
      })
      .option(
        'large',
        textOption('ONNX model that answers raw inputs instead: those of which the network was unsure'),
      )
      .option('batch', wholeNumber('batch', 1, 65_536, { default: 64, describe: 'Rows in one run at most' }))
      .option('model-id', wholeNumber('model-id', 1, 0xffff, { default: 1, describe: 'Model id' }))
      .option(
        'model-version',
        wholeNumber('model-version', 1, 0xffff, {
          default: 1,
          describe: 'Version of the weights held; packets of version 0 are computed too',
        }),
      )
      .option('zones', textOption('Trust zones that it is in, separated by commas'))
      .option(
        'mtu',
        wholeNumber('mtu', 68, 0xffff, {
          default: 1500,
          describe: 'Largest IP packet on the path back; larger results go in fragments',
        }),
      )
      .option(
        'source-rate',
        realNumber('source-rate', 1, 1e7, { describe: 'Requests a second of one host; more are dropped' }),
      )
      .option(
        'overload',
        realNumber('overload', 1, 60_000, {
          default: 50,
          describe: 'ms that rows may wait before it tells the controller that it is overloaded',
        }),
      )
      .option(
        'grace',
        realNumber('grace', 0, 3600, {
          default: 5,
          describe: 'Seconds in which what waits is still computed when it is to end',
        }),
      )
      .option(
        'stats-interval',
        realNumber('stats-interval', 1e-3, 86_400, { describe: 'Print statistics every so many seconds' }),
      )
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'Events on stdout, one JSON document a line',
      }),
};

/** `worker MODEL [--listen HOST:PORT]` */
// Long: what is set up by the options, part by part.
export const workerCommand = (io: Io, version: string) =>
  defineCommand({
    ...usage,
    async handler(a) {
      const listen = parseEndpoint('listen', a.listen, '0.0.0.0');
      const options = {
        modelId: a.modelId,
        modelVersion: a.modelVersion,
        mtu: a.mtu,
        batch: a.batch,
        zones: zonesOf(a.zones),
      };
      const interval = a.statsInterval;
      // Other commands start faster without what a worker is made of.
      const { createWorker, loadWorkerModel, openControl } = await import('../../ends/worker/index.ts');
      const control = controlOf(a);
      const serving = await servingOf(a);
      const upstream = await upstreamOf(a);
      if (a.name !== undefined) nodeName(a.name);
      checkAnnounce(a);
      if (a.controller !== undefined && control === undefined)
        throw new UsageError('--controller brings models through a door: name it with --control');
      const loaded =
        a.model === undefined
          ? undefined
          : await loadWorkerModel(a.model, { verdict: a.verdict, ...importOptionsOf(a) });
      printDiagnostics(io, loaded?.diagnostics ?? []);
      const { on, large } = a;
      const onDiagnostic = (d: Diagnostic) => printDiagnostics(io, [d]);
      const worker = await createWorker({
        ...options,
        ...(loaded && { model: loaded.model, onnx: loaded.onnx }),
        ...{ on, large, listen, onDiagnostic, upstream },
        awaitsController: control !== undefined,
        sourceRate: a.sourceRate,
        overloadMs: a.overload,
        graceMs: a.grace * 1000,
      });
      const door = await opened(worker, control && (() => openControl(worker, control, on)));
      const inference = (await opened(worker, () => openInference(worker, serving, a, version))) ?? [];
      for (const listen of [control, serving.http, serving.grpc])
        if (listen !== undefined) warnOf(io, listen);
      const interrupted = untilInterrupted();
      const { address, port, engines } = worker;
      const say = (event: string, document: object, text: string) =>
        a.json ? printJsonLine(io, { event, ...document }) : printLine(io, text);
      say(
        'listening',
        {
          address,
          port,
          ...(loaded && { model: loaded.model.name, layers: loaded.model.layers.length, engines }),
          ...options,
          ...(door && { control: door.address }),
          ...Object.fromEntries(inference.map(({ protocol, address }) => [protocol, address])),
        },
        `listening on ${address}:${port}: ` +
          (loaded === undefined
            ? 'no model yet'
            : `${loaded.model.name}, model ${options.modelId} version ${options.modelVersion}, ` +
              `on ${describeEngines(worker)}${large === undefined ? '' : `, raw inputs on ${large}`}`) +
          (door === undefined ? '' : `; versions come in at ${door.address}`) +
          inference.map(({ protocol, address }) => `; inference over ${protocol} at ${address}`).join(''),
      );
      const statistics = () => {
        const s = worker.statistics();
        say('statistics', s, summary(s));
      };
      const announcer = door && (await opened(worker, () => announceWorker(a, worker, door, control, io)));
      const timer = interval === undefined ? undefined : setInterval(statistics, interval * 1000);
      await interrupted;
      clearInterval(timer);
      await announcer?.close();
      for (const open of [door, ...inference]) open?.close();
      await worker.close();
      statistics();
    },
  });

type Arguments = ArgumentsOf<typeof usage.builder>;

/** @throws UsageError where the model has no way in, or others than those who may could drive this worker */
function controlOf(a: Arguments): DoorListen | undefined {
  if (a.control === undefined) {
    const isServing = (a.http ?? a.grpc) !== undefined && a.repository !== undefined;
    if (a.model === undefined && !isServing)
      throw new UsageError('name a model, or with --control a door by which one comes');
    return undefined;
  }
  const listen = doorOf(a, a.control);
  const fault = listenFault(listen, WORDS);
  if (fault !== undefined) throw new UsageError(fault);
  return listen;
}

async function announceWorker(
  a: Arguments,
  worker: Worker,
  door: HttpDoor,
  control: DoorListen | undefined,
  io: Io,
) {
  const { address, port } = worker;
  const name =
    a.name ??
    `${hostname()
      .toLowerCase()
      .replace(/[^a-z0-9.-]/g, '-')
      .slice(0, 50)}-${port}`;
  const sum = (of: Readonly<Record<string, number>>) => Object.values(of).reduce((x, y) => x + y, 0);
  return announce(a, {
    registration: {
      kind: 'Worker',
      name,
      spec: {
        control: advertised(a, door.address),
        tls: control?.tls !== undefined,
        ...(address !== '0.0.0.0' && { address: `${address}:${port}` }),
        zone: a.zone,
        zones: zonesOf(a.zones),
      },
    },
    capability: () => ({
      kind: 'worker',
      accelerator: 'cpu',
      engine: a.on,
      models: worker.loaded().map(({ modelId, name: model, current, versions }) => ({
        modelId,
        name: model,
        ...(current !== undefined && { current }),
        versions: [...versions.values()].map(({ version, digest, layerCount }) => ({
          version,
          digest,
          layers: `0..${layerCount}`,
        })),
      })),
      couldHold: { layers: 255, memoryBytes: freemem() },
      zone: a.zone,
    }),
    measure: () => {
      const { queue, answered, refused } = worker.statistics();
      return {
        queue,
        computed: sum(answered),
        refused: sum(refused),
      };
    },
    say: (text) => io.err(`intransit worker: ${text}\n`),
  });
}

const WORDS = { option: 'control', what: 'this worker' };

function warnOf(io: Io, control: DoorListen): void {
  const warning = insecureWarning(control, WORDS.what);
  if (warning !== undefined) io.err(`intransit worker: ${warning}\n`);
}

/** A worker whose door cannot be opened does not stay. */
async function opened<T>(worker: Worker, open: (() => Promise<T>) | undefined): Promise<T | undefined> {
  try {
    return await open?.();
  } catch (error) {
    await worker.close();
    throw error;
  }
}

function zonesOf(text: string | undefined): number[] {
  if (text === undefined) return [];
  return text.split(',').map((zone) => {
    if (!/^\d+$/.test(zone)) throw new UsageError(`--zones ${text}: must be numbers, separated by commas`);
    return inRange('zones', Number(zone), 1, 255);
  });
}

function describeEngines({ engines }: Worker): string {
  const kinds = new Set(engines.filter((e) => e !== undefined));
  return [...kinds].join(' and ');
}

function summary(s: ReturnType<Worker['statistics']>): string {
  const counts = (of: Readonly<Record<string, number>>) =>
    Object.entries(of)
      .map(([name, count]) => `${name}: ${count}`)
      .join(', ') || 'none';
  return (
    `received ${s.received}; answered by cursor: ${counts(s.answered)}; refused: ${counts(s.refused)}; ` +
    `malformed: ${counts(s.malformed)}; relayed ${s.relayed}, probes ${s.probes}, ignored ${s.ignored}; ` +
    `challenged ${s.challenged}, proven ${s.proven}, limited ${s.limited}, abandoned ${s.abandoned}; ` +
    `engine errors: ${counts(s.engineErrors)}; ` +
    `batches ${s.batches}, largest ${s.largestBatch}; waiting ${s.queue}, most ${s.longestQueue}`
  );
}
