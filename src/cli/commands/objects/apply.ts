import type { ShownObject } from '../../../daemon/client/index.ts';
import { type Io, printJson, printLine } from '../../io.ts';
import { defineCommand, jsonOption, lastOf } from '../../options.ts';
import {
  type ControllerArguments,
  controllerOptions,
  type FileArguments,
  fileOption,
  filesOf,
  kindOf,
  OUTPUTS,
  type Output,
  objectName,
  withController,
  yamlOf,
} from './common.ts';
import { printObjects } from './get.ts';

interface Result {
  readonly action: 'created' | 'configured' | 'unchanged';
  readonly object: ShownObject;
  readonly before?: ShownObject;
}

/** `apply -f FILE` */
export const applyCommand = (io: Io) =>
  defineCommand({
    command: 'apply',
    describe: 'Have the controller create or change the objects of manifests, all of them or none',
    builder: (y) =>
      controllerOptions(fileOption(jsonOption(y)))
        .option('output', {
          alias: 'o',
          choices: OUTPUTS,
          default: 'table' as const,
          describe: 'How the objects are printed, as get does; table: what became of each',
          requiresArg: true,
          coerce: lastOf<Output>,
        })
        .option('dry-run', {
          type: 'boolean',
          default: false,
          describe: 'Say what would come of it; change nothing',
        }),
    async handler(a) {
      const results = await applied(a, a.dryRun);
      if (a.json) return printJson(io, { dryRun: a.dryRun, results });
      const objects = results.map((r) => r.object);
      if (a.output !== 'table') {
        const kinds = objects.map((o) => kindOf(o.kind));
        return printObjects(io, a.output, kinds, objects, objects.length === 1);
      }
      const note = a.dryRun ? ' (dry run, nothing was changed)' : '';
      for (const { action, object } of results) printLine(io, `${objectName(object)} ${action}${note}`);
    },
  });

async function applied(a: ControllerArguments & FileArguments, dryRun: boolean): Promise<readonly Result[]> {
  const { readDocuments, withFiles } = await import('../../../daemon/client/index.ts');
  const documents = readDocuments(filesOf(a));
  return withController(
    a,
    async (client) => {
      const body = { documents: await withFiles(client, documents) };
      const path = `/api/v1alpha1/apply${dryRun ? '?dryRun=true' : ''}`;
      const { results } = await client.send<{ readonly results: readonly Result[] }>('POST', path, body);
      return results;
    },
    documents,
  );
}

/** `diff -f FILE` */
export const diffCommand = (io: Io) =>
  defineCommand({
    command: 'diff',
    describe: 'What applying manifests would change of what the controller has',
    builder: (y) => controllerOptions(fileOption(jsonOption(y))),
    async handler(a) {
      const results = await applied(a, true);
      const changed = results.filter((r) => r.action !== 'unchanged');
      if (a.json)
        return printJson(io, {
          differences: changed.map(({ action, object, before }) => ({
            action,
            kind: object.kind,
            name: object.metadata.name,
            ...(before && { before: shownPart(before) }),
            after: shownPart(object),
          })),
        });
      const { lineDifference } = await import('../../../daemon/client/index.ts');
      for (const { action, object, before } of changed) {
        printLine(io, `${objectName(object)} would be ${action}`);
        const texts = [
          before === undefined ? '' : await yamlOf(shownPart(before)),
          await yamlOf(shownPart(object)),
        ];
        for (const line of lineDifference(texts[0]!, texts[1]!)) printLine(io, line);
      }
      if (changed.length === 0) printLine(io, 'no differences');
    },
  });

/** What an operator writes of an object. */
const shownPart = ({ metadata: { name, labels, annotations }, spec }: ShownObject) => ({
  metadata: { name, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) },
  spec,
});
