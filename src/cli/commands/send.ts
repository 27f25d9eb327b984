import type { Argv } from 'yargs';
import { diagnostic, refuse } from '../../diagnostics/index.ts';
import { createSender, type LostRow, NO_ANSWER, type SendResult } from '../../ends/edge/index.ts';
import { outputType } from '../../model/model.ts';
import { tensorBytes } from '../../model/tensor.ts';
import { STANDARD, writeRows } from '../../rows/index.ts';
import { parseEndpoint } from '../endpoint.ts';
import { type Io, printDiagnostics, printJson, progress, table } from '../io.ts';
import {
  type ArgumentsOf,
  defineCommand,
  importArgument,
  jsonOption,
  MOST_ROWS,
  modelArgument,
  realNumber,
  textOption,
  wholeNumber,
} from '../options.ts';
import { answerOptions, answersJson, answersTable, checkOutput, inputRows, namesOf } from '../rows.ts';
import { reportMeasures, routeOf, type ServiceRoute } from '../service-route.ts';
import { refuseLone, UsageError } from '../usage.ts';
import { controllerAddressOptions } from './objects/common.ts';

// Long: options, a few lines each.
const usage = {
  command: 'send <model>',
  describe: 'Send rows as packets along a path that computes them, and write the answers',
  builder: (y: Argv) =>
    controllerAddressOptions(answerOptions(jsonOption(modelArgument(y)), 'answers'))
      .option('to', textOption('HOST[:PORT] at the end of the path'))
      .option(
        'service',
        textOption(
          'Instead of --to: a service of a controller, which says worker, model id and version, and is told how long answers took',
        ),
      )
      .option('layers', textOption('Compute layers 0..K here before sending'))
      .option('rate', realNumber('rate', 1e-3, 1e7, { describe: 'Packets a second' }))
      .option(
        'window',
        wholeNumber('window', 1, MOST_ROWS, {
          describe: 'Rows without an answer at a time [64, or any number with --rate]',
        }),
      )
      .option(
        'timeout',
        wholeNumber('timeout', 1, 3_600_000, {
          default: 500,
          describe: 'ms until a row is sent again; doubled each time, up to eight times as long',
        }),
      )
      .option(
        'retries',
        wholeNumber('retries', 0, 100, { default: 5, describe: 'Times that a row is sent again' }),
      )
      .option(
        'mtu',
        wholeNumber('mtu', 68, 0xffff, {
          default: 1500,
          describe: 'Largest IP packet on the path; larger tensors go in fragments',
        }),
      )
      .option('model-id', wholeNumber('model-id', 1, 0xffff, { default: 1, describe: 'Model id' }))
      .option(
        'model-version',
        wholeNumber('model-version', 0, 0xffff, {
          describe: 'Version of the weights, 0 for the current one [0, or 1 with --layers]',
        }),
      )
      .option('job', textOption('Job id, 64 bits [random]'))
      .option(
        'zone',
        wholeNumber('zone', 0, 255, { default: 0, describe: 'Trust zone that must compute it, 0 for any' }),
      )
      .option('turn-round', {
        type: 'boolean',
        default: true,
        describe: 'Answers of the network come back at once, not by way of the end of the path',
      })
      .option('partial', {
        type: 'boolean',
        default: false,
        describe: 'Write the answers that came, and zeros for rows without one',
      }),
};

/** `send MODEL --to HOST[:PORT] --input X --output Y` */
export const sendCommand = (io: Io) =>
  defineCommand({
    ...usage,
    async handler(a) {
      checkOutput(a);
      checkTarget(a);
      const layers = layersOf(a.layers);
      const { model, diagnostics } = await importArgument(a);
      printDiagnostics(io, diagnostics);
      const names = namesOf(model, a);
      const rows = inputRows(io, model, a.input, { limit: a.rows });
      const route = a.service === undefined ? undefined : await routeOf(a.service, jobIdOf(a), a);
      const wire = wireOptions(a, route);
      const sender = await createSender({ model, layers, ...wire });
      let result: SendResult;
      try {
        const bar = progress(io, 'send: rows', rows.length / tensorBytes(model.input));
        result = await sender.send(rows, bar.update);
        bar.end();
      } finally {
        await sender.close();
      }
      const { answers, lost, statistics } = result;
      if (route !== undefined) await reportMeasures(io, route, result, a);
      const complete = lost.length === 0 || a.partial;
      const written = complete && a.output !== undefined;
      if (written) writeRows(outputType(model), a.output!, answers);
      const shown = { model, to: model.layers.length, bytes: answers, names };
      const jobId = `0x${sender.jobId.toString(16).padStart(16, '0')}`;
      const output = written ? a.output : null;
      if (a.json) {
        const inline = complete && !written && { answers: answersJson(shown) };
        const to = route && { to: `${route.to.host}:${route.to.port}` };
        printJson(io, { output, jobId, ...to, ...statistics, lostRows: lost, ...inline });
      } else {
        if (complete && !written) io.out(`${answersTable(shown)}\n`);
        if (a.output !== STANDARD) io.out(report(statistics));
      }
      if (statistics.differing > 0)
        printDiagnostics(io, [diagnostic('answers-differ', { count: statistics.differing })]);
      if (lost.length > 0) refuseLost(lost, statistics.rows, a);
    },
  });

type Arguments = ArgumentsOf<typeof usage.builder>;

/** @throws UsageError where it is not clear where to send, or options do not go together */
function checkTarget(a: Arguments): void {
  if ((a.to === undefined) === (a.service === undefined))
    throw new UsageError(
      a.to === undefined
        ? 'name where to send with --to, or a service with --service'
        : 'choose one of --to and --service',
    );
  const { controller, tokenFile, tlsCa, tlsCert, tlsKey } = a;
  const others = {
    ...{ controller, 'token-file': tokenFile, 'tls-ca': tlsCa, 'tls-cert': tlsCert, 'tls-key': tlsKey },
  };
  if (a.service === undefined) refuseLone('service', others, 'name the service');
  if (a.service !== undefined && layersOf(a.layers) > 0 && a.modelVersion === undefined)
    throw new UsageError('--layers with --service: name the version of the layers with --model-version');
  if (a.modelVersion === 0 && layersOf(a.layers) > 0)
    throw new UsageError(
      '--model-version 0: layers computed here are of one version of the weights, which must be named',
    );
  if (a.to !== undefined) parseEndpoint('to', a.to);
  jobIdOf(a);
}

const jobIdOf = (a: Arguments): bigint | undefined => (a.job === undefined ? undefined : jobOf(a.job));

function wireOptions(a: Arguments, route: ServiceRoute | undefined) {
  const { rate } = a;
  const version = a.modelVersion ?? route?.modelVersion;
  const jobId = route?.jobId ?? jobIdOf(a);
  return {
    to: route?.to ?? parseEndpoint('to', a.to ?? ''),
    timeoutMs: a.timeout,
    retries: a.retries,
    mtu: a.mtu,
    modelId: route?.modelId ?? a.modelId,
    zone: a.zone,
    turnRound: a.turnRound,
    ...(version !== undefined && { modelVersion: version }),
    ...(jobId !== undefined && { jobId }),
    ...(rate !== undefined && { rate }),
    ...(a.window !== undefined && { window: a.window }),
  };
}

function layersOf(text: string | undefined): number {
  if (text === undefined) return 0;
  const match = /^0?\.\.(\d+)$/.exec(text);
  if (match === null) throw new UsageError(`--layers ${text}: must be 0..K, the layers computed here`);
  return Number(match[1]);
}

function jobOf(text: string): bigint {
  const id = /^(\d+|0x[0-9a-fA-F]+)$/.test(text) ? BigInt(text) : -1n;
  if (id < 0n || id >= 2n ** 64n)
    throw new UsageError(`--job ${text}: must be a whole number of 64 bits, decimal or 0x...`);
  return id;
}

function report(s: SendResult['statistics']): string {
  const ms = (value: number) => value.toFixed(3);
  const by = (who: keyof typeof s.by) =>
    s.by[who] === 0 ? 0 : `${s.by[who]}, median ${ms(s.latencyMsBy[who].p50)} ms`;
  return table([
    ['rows', s.rows],
    ['answered', s.answered],
    ['  by the network', by('network')],
    ['  by a worker', by('worker')],
    ['  by the large model', by('large')],
    ['lost', s.lost],
    ['packets sent', s.sent],
    ['rows sent again', s.retried],
    ['duplicate answers', s.duplicates],
    ['packets a second', Math.round(s.packetsPerSecond)],
    ['latency ms: median', ms(s.latencyMs.p50)],
    ['  99th percentile', ms(s.latencyMs.p99)],
    ['  longest', ms(s.latencyMs.max)],
    ['longest pause ms', ms(s.longestPauseMs)],
  ]);
}

function refuseLost(lost: readonly LostRow[], of: number, a: Arguments): never {
  const reasons = new Map<string, number>();
  for (const { reason } of lost) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const why = [...reasons].map(([reason, count]) => `${reason}: ${count}`).join(', ');
  const file = a.output ?? 'the answers';
  const done = a.partial ? `they are zeros in ${file}` : `${a.output ?? 'nothing'} was not written`;
  const which = ranges(lost.map(({ row }) => row));
  const silent = reasons.has(NO_ANSWER) || reasons.has('failed');
  return refuse('rows-lost', { lost: lost.length, of, why, which, done, silent });
}

/** Most ranges that a message names. */
const RANGES = 8;

/** `rows 3, 7-9`. */
function ranges(rows: readonly number[]): string {
  const found: [first: number, last: number][] = [];
  for (const row of rows) {
    const open = found.at(-1);
    if (open !== undefined && row === open[1] + 1) open[1] = row;
    else found.push([row, row]);
  }
  const text = found
    .slice(0, RANGES)
    .map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`));
  return `rows ${text.join(', ')}${found.length > RANGES ? ', ...' : ''}`;
}
