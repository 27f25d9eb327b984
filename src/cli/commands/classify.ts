import type { Argv } from 'yargs';
import { type Diagnostic, diagnostic, refuse } from '../../diagnostics/index.ts';
import { type FeatureDefinition, readFeatures } from '../../features/index.ts';
import { type Labels, parseLabels } from '../../features/labels.ts';
import { readText, writeWhole } from '../../files.ts';
import { type NamedAction, readActions } from '../../flow/actions.ts';
import { deviceProgram, deviceSetProgram } from '../../flow/device.ts';
import type { Equality, FlowEngine } from '../../flow/engine.ts';
import { type Classification, classifyCaptures } from '../../flow/flows.ts';
import { reportHtml } from '../../flow/html.ts';
import { type Acting, classifyLive, classifySetLive } from '../../flow/live.ts';
import { modelOfFeatures } from '../../flow/model.ts';
import { type FlowReport, flowsCsv, reportJson, reportOf } from '../../flow/report.ts';
import { readFlowSet } from '../../flow/set.ts';
import { flowEngines, setEngines } from '../../flow/targets.ts';
import { classCount } from '../../model/classes.ts';
import type { Model } from '../../model/model.ts';
import { LargerModel } from '../../runtime/xdp/larger-model.ts';
import { targetNamed } from '../../targets/registry.ts';
import { reportText } from '../flow-text.ts';
import { type Io, printDiagnostics, printJson, progress } from '../io.ts';
import { checkLarger, largerOf, largerOptions, openLarger, tellSilence } from '../larger-options.ts';
import {
  type ArgumentsOf,
  defineCommand,
  importArgument,
  jsonOption,
  modelArgument,
  realNumber,
  textOption,
} from '../options.ts';
import { classOptions, namesOf } from '../rows.ts';
import { ownOptionsOf, someOptions } from '../target-options.ts';
import { untilOver } from '../until-over.ts';
import { UsageError } from '../usage.ts';
import { checkDevice, deviceOptions, overDevice, toldLine } from './classify-device.ts';

/** Of a switch: whether its layers are look-ups, and which; the labels of rows have another meaning here. */
const LOOKED_UP = ['lowering', 'calibrate', 'levels', 'entries'] as const;

// Long: options, a few lines each.
const usage = {
  command: 'classify <model>',
  describe: 'Classify the flows of captures by a model of their features',
  builder: (y: Argv) =>
    deviceOptions(
      someOptions(largerOptions(jsonOption(classOptions(modelArgument(y)))), 'v1model', LOOKED_UP)
        .option(
          'features',
          textOption(
            'Feature file (YAML or JSON), or the name of a ready-made one, such as traffic-16; a file of models names its own',
          ),
        )
        .option('pcap', {
          type: 'string',
          array: true,
          describe: 'Captures, pcap or pcapng; each has flows of its own',
          requiresArg: true,
        })
        .option(
          'live',
          textOption('Interface whose packets are classified as they come, in the kernel (XDP)'),
        ),
    )
      .option(
        'actions',
        textOption('Of --live and --device: what is done with flows by their class (YAML or JSON)'),
      )
      .option(
        'seconds',
        realNumber('seconds', 0.1, 1e9, {
          describe: 'Of --live and --device: how long; until interrupted if absent',
        }),
      )
      .option('on', {
        choices: Object.keys(flowEngines),
        default: 'reference',
        describe: 'What classifies; of the others it is shown how far they are from the reference',
        requiresArg: true,
      })
      .option('labels', textOption('CSV of flows and their classes, to compare with'))
      .option('csv', textOption('File for all flows, one a row'))
      .option('html', textOption('File for a page with charts and flows; it opens offline')),
};

/** `classify MODEL --features DEFINITION --pcap FILE... [--on ENGINE] [--labels CSV] [--json] [--csv FILE] [--html FILE]` */
export const classifyCommand = (io: Io, onEnd: (failed: boolean) => void) =>
  defineCommand({
    ...usage,
    async handler(a) {
      const { pcap, live } = a;
      checkUsage(a);
      if (isSet(a)) return overSet(io, a, onEnd);
      const definition = readFeatures(a.features!);
      const imported = await importArgument(a);
      printDiagnostics(io, imported.diagnostics);
      const model = modelOfFeatures(imported, definition);
      const { labels, names } = naming(io, model, definition, a);
      const actions = a.actions === undefined ? undefined : readActions(a.actions, names, classCount(model));
      if (a.device !== undefined)
        return overDevice(io, a, {
          program: (device) => deviceProgram(definition, model, device),
          model: model.name,
          features: definition.name,
          classCount: classCount(model),
          actions: actions ?? [],
          names,
        });
      const { found, equality } =
        live === undefined
          ? await overCaptures(io, a, pcap!, definition, model, labels)
          : {
              found: await overInterface(io, live, a, definition, model, acting(io, actions, names)),
              equality: undefined,
            };
      printDiagnostics(io, found.diagnostics);
      const subject = {
        on: live === undefined ? a.on : 'xdp',
        model: model.name,
        definition: definition.name,
        captures: pcap ?? [live!],
        classCount: classCount(model),
        names,
      };
      tell(io, a, reportOf(subject, found, labels !== undefined, equality), onEnd);
    },
  });

type Arguments = ArgumentsOf<typeof usage.builder>;

function tell(io: Io, a: Arguments, report: FlowReport, onEnd: (failed: boolean) => void): void {
  if (a.csv !== undefined) writeWhole(a.csv, flowsCsv(report));
  if (a.html !== undefined) writeWhole(a.html, reportHtml(report));
  if (a.json) printJson(io, reportJson(report));
  else io.out(reportText(report));
  onEnd((report.equality?.mismatches ?? 0) > 0);
}

/** Whether the model is a file of several. */
const isSet = ({ model }: Arguments): boolean => /\.ya?ml$/.test(model);

/** Several models beside each other, over captures or an interface. */
async function overSet(io: Io, a: Arguments, onEnd: (failed: boolean) => void): Promise<void> {
  const set = await readFlowSet(a.model);
  printDiagnostics(io, set.diagnostics);
  const names = set.classes;
  const labels =
    a.labels === undefined
      ? undefined
      : { of: parseLabels(readText(a.labels), a.labels, names), file: a.labels };
  const actions = a.actions === undefined ? undefined : readActions(a.actions, names, names.length);
  const members = set.members.map((m) => m.name).join(', ');
  if (a.device !== undefined)
    return overDevice(io, a, {
      program: (device) => deviceSetProgram(set, device),
      ...{ model: set.name, features: members, classCount: names.length, names },
      actions: actions ?? [],
    });
  const subject = {
    on: a.live === undefined ? a.on : 'xdp',
    model: set.name,
    definition: members,
    captures: a.pcap ?? [a.live!],
    classCount: names.length,
    names,
  };
  if (a.live !== undefined) {
    const found = await untilOver(a.seconds, (until) =>
      classifySetLive(
        set,
        a.live!,
        until,
        (mode) => io.err(attachedText(a.live!, mode, a.seconds)),
        acting(io, actions, names),
      ),
    );
    return tell(io, a, reportOf(subject, found, false, undefined), onEnd);
  }
  const engine = await setEngines[a.on]!(set);
  const { found, equality } = await withEngine(io, a, a.pcap!, engine, labels);
  printDiagnostics(io, found.diagnostics);
  tell(io, a, reportOf(subject, found, labels !== undefined, equality), onEnd);
}

const attachedText = (live: string, mode: string, seconds: number | undefined): string =>
  `${live}: classifying (${mode} mode)${seconds === undefined ? '; end with Ctrl-C' : ''}\n`;

async function overCaptures(
  io: Io,
  a: Arguments,
  pcap: readonly string[],
  definition: FeatureDefinition,
  model: Model,
  labels: Naming['labels'],
): Promise<{ found: Classification; equality: Equality | undefined }> {
  const larger = await largerOf(a);
  if (larger === undefined) {
    const own = ownOptionsOf(targetNamed('v1model'), lookedUp(a));
    const options = { own, tell: (told: readonly Diagnostic[]) => printDiagnostics(io, told) };
    return withEngine(io, a, pcap, await flowEngines[a.on]!(definition, model, undefined, options), labels);
  }
  using worker = await openLarger(larger, classCount(model));
  const result = await withEngine(io, a, pcap, await flowEngines[a.on]!(definition, model, worker), labels);
  tellSilence(io, larger, worker.counts(), worker.trouble());
  return { ...result, found: { ...result.found, escalation: worker.counts() } };
}

async function withEngine(
  io: Io,
  a: Arguments,
  pcap: readonly string[],
  engine: FlowEngine,
  labels: Naming['labels'],
): Promise<{ found: Classification; equality: Equality | undefined }> {
  try {
    const bar = progress(io, `${a.on}: captures`, pcap.length);
    const found = await classifyCaptures(engine, pcap, labels, bar.update);
    bar.end();
    return { found, equality: engine.equality?.() };
  } finally {
    await engine.close();
  }
}

/** The options of look-ups that are given. */
const lookedUp = (a: Arguments): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(a).filter(([name, value]) => LOOKED_UP.some((own) => own === name) && value !== undefined),
  );

/** Which options go together. @throws UsageError */
function checkUsage(a: Arguments): void {
  const { pcap, live, device } = a;
  const [name] = Object.keys(lookedUp(a));
  if (name !== undefined && (a.on !== 'bmv2' || pcap === undefined || isSet(a)))
    throw new UsageError(`--${name}: of one model on a switch, with --on bmv2 and --pcap`);
  checkModels(a);
  checkLarger(a, isSet(a));
  if ([pcap, live, device].filter((x) => x !== undefined).length !== 1)
    throw new UsageError('give either --pcap, --live or --device');
  if (live !== undefined && (a.labels !== undefined || a.on !== 'reference'))
    throw new UsageError('--live runs in the kernel and has no labels: leave out --on and --labels');
  if (pcap !== undefined && (a.seconds !== undefined || a.actions !== undefined))
    throw new UsageError('--seconds and --actions go with --live and --device');
  checkDevice(a);
}

/** A file of models names its features and its classes. @throws UsageError */
function checkModels(a: Arguments): void {
  if (!isSet(a)) {
    if (a.features === undefined) throw new UsageError('--features says what the model reads');
    return;
  }
  if (a.features !== undefined || a.classNames !== undefined || a.labelsFile !== undefined)
    throw new UsageError(
      'a file of models names features and classes: leave out --features, --class-names and --labels-file',
    );
}

/** Actions, and a line for each flow that is told. */
function acting(io: Io, actions: readonly NamedAction[] | undefined, names: readonly string[] | undefined) {
  return actions && { actions, told: toldLine(io, names) };
}

async function overInterface(
  io: Io,
  live: string,
  a: Arguments,
  definition: FeatureDefinition,
  model: Model,
  acts: Acting | undefined,
): Promise<Classification> {
  const { seconds } = a;
  const larger = await largerOf(a);
  using worker = larger && new LargerModel(larger);
  const asking = larger && worker && { ...larger, model: worker };
  const found = await untilOver(seconds, (until) =>
    classifyLive(
      definition,
      model,
      live,
      until,
      (mode) => io.err(attachedText(live, mode, seconds)),
      acts,
      asking,
    ),
  );
  if (larger && found.escalation) tellSilence(io, larger, found.escalation, worker?.trouble);
  return found;
}

interface Naming {
  readonly labels: { readonly of: Labels; readonly file: string } | undefined;
  readonly names: readonly string[] | undefined;
}

/**
 * The labels, and the names of the classes: as the arguments say, the model, or the definition; else those of the labels, if
 * they are as many.
 */
function naming(io: Io, model: Model, definition: FeatureDefinition, a: Arguments): Naming {
  const count = classCount(model);
  const said = namesOf(model, a);
  const usual = definition.classes?.length === count ? definition.classes : undefined;
  if (a.labels === undefined) return { labels: undefined, names: said ?? usual };
  const of = parseLabels(readText(a.labels), a.labels, said, usual);
  const labels = { of, file: a.labels };
  if (said !== undefined || of.classes === usual) return { labels, names: of.classes };
  if (of.classes.length !== count)
    refuse('flow-classes', { classes: count, names: of.classes }, { file: model.file });
  printDiagnostics(io, [diagnostic('flow-classes-guessed', { names: of.classes }, { file: model.file })]);
  return { labels, names: of.classes };
}
