import { outcomesText } from '../../features/extract.ts';
import { type Labels, parseLabels } from '../../features/labels.ts';
import { extractMatrix, type FeatureMatrix, NO_CLASS, type RowOrigin } from '../../features/matrix.ts';
import { readFeatures } from '../../features/read.ts';
import { readText, writeWhole } from '../../files.ts';
import { writeRows } from '../../rows/index.ts';
import { type Io, printDiagnostics, printJson, progress, table } from '../io.ts';
import { defineCommand, jsonOption, textOption } from '../options.ts';
import { UsageError } from '../usage.ts';

/** `features DEFINITION --pcap FILE... [--labels CSV] -o X.npy` */
// Long: the options of a command, a few lines each.
export const featuresCommand = (io: Io) =>
  defineCommand({
    command: 'features <definition>',
    describe: 'Compute the features of the flows of captures: the matrix to train on',
    builder: (y) =>
      jsonOption(y)
        .positional('definition', {
          type: 'string',
          demandOption: true,
          describe: 'Feature file (YAML or JSON), or the name of a ready-made one, such as traffic-16',
        })
        .option('pcap', {
          type: 'string',
          array: true,
          demandOption: true,
          describe: 'Captures, pcap or pcapng; each has flows of its own',
          requiresArg: true,
        })
        .option(
          'labels',
          textOption('CSV of flows and their classes; writes the classes of the rows beside the output'),
        )
        .option(
          'classes',
          textOption(
            'Names of the classes in the order of their numbers, with commas; else those of the definition, or alphabetical',
          ),
        )
        .option('output', {
          alias: 'o',
          type: 'string',
          demandOption: true,
          describe:
            'File for the matrix, uint8, a row each time that the definition classifies: .npy, .csv or raw',
          requiresArg: true,
        })
        .option('index', textOption('CSV that tells of each row its capture, frame, flow and class')),
    async handler(a) {
      if (a.classes !== undefined && a.labels === undefined)
        throw new UsageError('--classes goes with --labels');
      const definition = readFeatures(a.definition);
      const order = a.classes?.split(',').map((name) => name.trim());
      const labels =
        a.labels === undefined
          ? undefined
          : { of: parseLabels(readText(a.labels), a.labels, order, definition.classes), file: a.labels };
      const bar = progress(io, 'captures', a.pcap.length);
      const matrix = extractMatrix(definition, a.pcap, labels, bar.update);
      bar.end();
      printDiagnostics(io, matrix.diagnostics);
      const width = definition.features.length;
      writeRows({ element: 'uint8', shape: [width], scale: 1, zeroPoint: 0 }, a.output, matrix.values);
      const classFile = labels && classFileOf(a.output);
      if (classFile !== undefined)
        writeRows(
          { element: 'int8', shape: [], scale: 1, zeroPoint: 0 },
          classFile,
          Uint8Array.from(matrix.origins, (o) => o.class & 0xff),
        );
      if (a.index !== undefined) writeWhole(a.index, indexText(matrix.origins, labels?.of));
      const report = reportOf(
        matrix,
        definition.features.map((f) => f.name),
        labels?.of,
      );
      if (a.json)
        printJson(io, { ...report, output: a.output, ...(classFile !== undefined && { labels: classFile }) });
      else io.out(reportText(report, matrix, classFile));
    },
  });

/** `X.npy` has its classes in `X.y.npy`. */
const classFileOf = (output: string): string =>
  output.replace(/(\.[^./]*)?$/, (extension) => `.y${extension}`);

function reportOf(matrix: FeatureMatrix, features: readonly string[], labels: Labels | undefined) {
  const { frames, flows, outcomes, origins } = matrix;
  return {
    rows: origins.length,
    features,
    frames,
    flows,
    outcomes,
    ...(labels && {
      classes: labels.classes.map((name, i) => ({ name, rows: origins.filter((o) => o.class === i).length })),
      unlabelled: origins.filter((o) => o.class === NO_CLASS).length,
    }),
  };
}

function reportText(
  report: ReturnType<typeof reportOf>,
  matrix: FeatureMatrix,
  classFile: string | undefined,
): string {
  const lines = [
    `${report.rows} rows of ${report.features.length} features, from ${report.flows} flows`,
    `${report.frames} frames: ${outcomesText(matrix.outcomes)}`,
  ];
  if (report.classes === undefined) return `${lines.join('\n')}\n`;
  const classes = table([
    ['class', 'name', 'rows'],
    ...report.classes.map((c, i) => [String(i), c.name, c.rows]),
    ['-1', '(none)', report.unlabelled ?? 0],
  ]);
  return `${lines.join('\n')}\nclasses in ${classFile}:\n${classes}`;
}

function indexText(origins: readonly RowOrigin[], labels: Labels | undefined): string {
  const quoted = (text: string) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = origins.map((o) =>
    [
      quoted(o.capture),
      o.frame,
      o.flow,
      o.packets,
      o.protocol,
      o.client,
      o.server,
      ...(labels ? [quoted(labels.classes[o.class] ?? '')] : []),
    ].join(','),
  );
  const header = [
    'capture',
    'frame',
    'flow',
    'packets',
    'protocol',
    'client',
    'server',
    ...(labels ? ['class'] : []),
  ];
  return `${[header.join(','), ...rows].join('\n')}\n`;
}
