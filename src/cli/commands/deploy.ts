import type { Argv } from 'yargs';
import type {
  DeployReport,
  DeviceReport,
  RolloutEvent,
  WatchEvent,
  WorkerReport,
} from '../../controller/index.ts';
import { untilInterrupted } from '../interrupted.ts';
import { type Io, printDiagnostics, printJson, printJsonLine, printLine, table } from '../io.ts';
import { type ArgumentsOf, defineCommand, jsonOption, textOption, wholeNumber } from '../options.ts';
import { UsageError } from '../usage.ts';

const usage = {
  command: 'deploy <file>',
  describe: 'Bring programs, weights and forwarding of models to devices over P4Runtime',
  builder: (y: Argv) =>
    jsonOption(
      y.positional('file', {
        type: 'string',
        demandOption: true,
        describe: 'Deployment file (JSON, see docs/deploy.md)',
      }),
    )
      .option('dry-run', {
        type: 'boolean',
        default: false,
        describe: 'Say what would be done; write nothing',
      })
      .option('rollback', {
        type: 'boolean',
        default: false,
        describe: 'Make the previous version current again',
      })
      .option('remove', {
        type: 'boolean',
        default: false,
        describe: 'Take the models off the devices; models of other files stay',
      })
      .option('keep', {
        type: 'boolean',
        default: false,
        describe: 'Leave the previous version on the devices, so that going back is one write',
      })
      .option('replace-program', {
        type: 'boolean',
        default: false,
        describe: 'Push another program where the one that runs does not do; packets are lost meanwhile',
      })
      .option('watch', {
        type: 'boolean',
        default: false,
        describe: 'Stay, and bring devices that come back, or a file that changes, to the devices',
      })
      .option(
        'model',
        textOption('Only this one of the models of the file, by name or id; the others stay as they are'),
      )
      .option('state', textOption('Folder of what is remembered; default FILE with .state in place of .json'))
      .option('election-id', {
        type: 'string',
        default: '1',
        describe: 'P4Runtime election id: the highest controller of a device is its primary',
        requiresArg: true,
      })
      .option(
        'drain',
        wholeNumber('drain', 0, 86_400_000, {
          describe: 'How long packets of the previous version may be under way, ms',
        }),
      ),
};

/** `deploy FILE` */
export const deployCommand = (io: Io) =>
  defineCommand({
    ...usage,
    async handler(a) {
      // Other commands start faster without the libraries of gRPC.
      const { DeployError, deploy, watch } = await import('../../controller/index.ts');
      const onProgress = ({ device, step, outcome, detail }: RolloutEvent) =>
        io.err(`${device}: ${step} ${outcome}: ${detail}\n`);
      if (a.watch) {
        const { dryRun: _, rollback: __, remove: ___, ...options } = optionsOf(a);
        const onEvent = (event: WatchEvent) => (a.json ? printEvent(io, event) : printEventLine(io, event));
        const watcher = await watch(a.file, { ...options, onProgress, onEvent });
        await untilInterrupted();
        await watcher.close();
        return;
      }
      try {
        const report = await deploy(a.file, { ...optionsOf(a), onProgress });
        if (a.json) return printJson(io, report);
        printDiagnostics(io, report.diagnostics);
        printLine(io, summary(report));
        io.out(deviceTable(report.devices));
        if (report.workers.length > 0) io.out(`\n${workerTable(report.workers)}`);
      } catch (error) {
        if (error instanceof DeployError) {
          if (a.json && error.report !== undefined)
            printJson(io, { ...error.report, errors: error.diagnostics });
          else io.err(stepTable([...error.devices, ...error.workers]));
        }
        throw error;
      }
    },
  });

type Arguments = ArgumentsOf<typeof usage.builder>;

function optionsOf(a: Arguments) {
  if (!/^\d+$/.test(a.electionId) || BigInt(a.electionId) < 1n)
    throw new UsageError(`--election-id ${a.electionId}: must be a whole number of at least 1`);
  if (BigInt(a.electionId) >> 128n > 0n)
    throw new UsageError(`--election-id ${a.electionId}: must be less than 2^128`);
  if (a.watch && (a.dryRun || a.rollback || a.remove))
    throw new UsageError(
      '--watch: deploys the version of the file, so not with --dry-run, --rollback or --remove',
    );
  if (a.remove && (a.rollback || a.keep || a.replaceProgram))
    throw new UsageError('--remove: not with --rollback, --keep or --replace-program');
  if (a.model !== undefined && (a.watch || a.replaceProgram))
    throw new UsageError('--model: the others stay as they are, so not with --watch or --replace-program');
  return {
    ...(a.model !== undefined && { only: a.model }),
    dryRun: a.dryRun,
    keep: a.keep,
    rollback: a.rollback,
    remove: a.remove,
    replaceProgram: a.replaceProgram,
    electionId: BigInt(a.electionId),
    ...(a.state !== undefined && { state: a.state }),
    ...(a.drain !== undefined && { drainMs: a.drain }),
  };
}

const printEvent = (io: Io, event: WatchEvent): void =>
  printJsonLine(io, { format: 'intransit-watch', version: 1, at: new Date().toISOString(), ...event });

function printEventLine(io: Io, e: WatchEvent): void {
  if (e.event === 'failed') printDiagnostics(io, e.diagnostics);
  if (e.event === 'deployed') printDiagnostics(io, e.report.diagnostics);
  printLine(io, eventLine(e));
}

function eventLine(e: WatchEvent): string {
  switch (e.event) {
    case 'deployed':
      return `${summary(e.report)}${e.without.length === 0 ? '' : `; waiting for ${e.without.join(', ')}`}`;
    case 'unreadable':
      return `the deployment file cannot be read; what it said goes on: ${e.diagnostics.map((d) => d.message).join('; ')}`;
    case 'changed':
      return 'the deployment file has changed';
    case 'away':
      return `${e.device}: away: ${e.diagnostics.map((d) => d.message).join('; ')}`;
    case 'backup':
      return `${e.device}: taken over: ${e.diagnostics.map((d) => d.message).join('; ')}`;
    case 'here':
      return `${e.worker}: here`;
    case 'primary':
      return `${e.device}: here, election id ${e.electionId}`;
    case 'restored': {
      const what = e.report.outcome === 'unchanged' ? 'had kept everything' : 'brought back';
      return `${e.device}: ${what}, ${Math.round(e.ms)} ms behind its return`;
    }
    case 'failed':
      return `${e.device ?? 'the deployment'}: failed, tried again in ${e.retryMs / 1000} s`;
  }
}

function summary({ outcome, models, devices, ms }: DeployReport): string {
  const count = `${devices.length} device${devices.length === 1 ? '' : 's'}`;
  const what = models.map((m) => `model ${m.id}, version ${m.version}`).join('; ');
  const previous = models.flatMap((m) => m.previous ?? []).join(', ') || '?';
  const time = `${(ms / 1000).toFixed(2)} s`;
  switch (outcome) {
    case 'unchanged':
      return `${what}: unchanged on ${count}, nothing was written (${time})`;
    case 'replaced':
      return `${what}: current on ${count} instead of version ${previous}, read back and equal (${time})`;
    case 'deployed':
      return `${what}: deployed on ${count}, read back and equal (${time})`;
    case 'removed':
      return `model ${models.map((m) => m.id).join(', ')}: taken off ${count} (${time})`;
    case 'would-change':
      return `${what}: a dry run, nothing was written (${time})`;
    case 'failed':
      return `${what}: failed`;
  }
}

const changes = (d: DeviceReport): string => {
  const changed = d.tables.filter((t) => t.inserted + t.modified + t.deleted > 0);
  const text = changed.map((t) => {
    const parts = [
      t.inserted && `+${t.inserted}`,
      t.modified && `~${t.modified}`,
      t.deleted && `-${t.deleted}`,
    ];
    return `${t.table} ${parts.filter(Boolean).join(' ')}`;
  });
  return text.length === 0 ? 'none' : text.join(', ');
};

/** Of several models each with its id. */
function ofModels<M extends { readonly id: number }>(
  { models }: { readonly models: readonly M[] },
  text: (model: M) => string,
): string {
  const [first, ...more] = models;
  if (first === undefined) return 'none';
  return more.length === 0 ? text(first) : models.map((m) => `${m.id}: ${text(m)}`).join(', ');
}

function versionsOf<V extends { readonly modelId: number; readonly version: number }>(
  { models, versions }: { readonly models: readonly unknown[]; readonly versions: readonly V[] },
  digest: (version: V) => string,
): string {
  const texts = versions.map((v) => {
    const of = models.length > 1 ? `${v.modelId}: ` : '';
    return `${of}${v.version} (${digest(v).slice(0, 12)})`;
  });
  return texts.join(', ') || 'none';
}

const deviceTable = (devices: readonly DeviceReport[]): string =>
  table([
    ['device', 'kind', 'layers', 'program', 'current', 'versions', 'changes'],
    ...devices.map((d) => [
      d.name,
      d.kind,
      ofModels(d, ({ layers }) => `${layers.from}..${layers.to}`),
      d.steps.some((s) => s.step === 'program' && s.outcome === 'would') ? 'would be pushed' : d.program,
      ofModels(d, ({ current }) => `${current ?? 'none'}`),
      versionsOf(d, (v) => v.weights),
      changes(d),
    ]),
  ]);

const workerTable = (workers: readonly WorkerReport[]): string =>
  table([
    ['worker', 'current', 'versions', 'steps'],
    ...workers.map((w) => [
      w.name,
      ofModels(w, ({ current }) => `${current ?? 'none'}`),
      versionsOf(w, (v) => v.digest),
      w.steps
        .filter((s) => s.outcome !== 'unchanged' && s.step !== 'connect')
        .map((s) => `${s.step} ${s.outcome}: ${s.detail}`)
        .join('; ') || 'unchanged',
    ]),
  ]);

/** Of each device and worker what was done and what was not. */
const stepTable = (devices: readonly (DeviceReport | WorkerReport)[]): string =>
  table([
    ['device', 'step', 'outcome', 'detail'],
    ...devices.flatMap((d) =>
      d.steps.length === 0
        ? [[d.name, 'connect', 'not begun', '']]
        : d.steps.map((s) => [d.name, s.step, s.outcome, s.detail]),
    ),
  ]);
