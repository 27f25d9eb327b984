import type { ControllerClient, ShownObject } from '../../../daemon/client/index.ts';
import { type Kind, kindNames } from '../../../daemon/manifests/kind-names.ts';
import { type Io, printLine, table } from '../../io.ts';
import { defineCommand, lastTextOption } from '../../options.ts';
import { UsageError } from '../../usage.ts';
import {
  controllerOptions,
  type Output,
  objectName,
  outputOf,
  outputOption,
  pathOf,
  printDocument,
  type Target,
  targetsOf,
  withController,
  yamlOf,
} from './common.ts';
import { eventRows, type ShownEvent } from './events.ts';

const LABEL = /^([^=\s]+)=([^=\s]*)$/;

/** `get KIND [NAME]` */
export const getCommand = (io: Io) =>
  defineCommand({
    command: 'get <what..>',
    describe: 'List objects of the controller: KIND, KIND NAME, KIND/NAME, or all',
    builder: (y) =>
      controllerOptions(outputOption(y))
        .positional('what', {
          type: 'string',
          array: true,
          demandOption: true,
          describe: 'KIND [NAME...], KIND/NAME..., or all',
        })
        .option('selector', { alias: 'l', ...lastTextOption('Only objects with this label: NAME=VALUE') }),
    async handler(a) {
      const words = a.what.map(String);
      const targets: readonly Target[] =
        words.join() === 'all' ? kindNames.map((kind) => ({ kind })) : targetsOf(words);
      const wanted = a.selector === undefined ? undefined : LABEL.exec(a.selector);
      if (wanted === null) throw new UsageError(`--selector ${a.selector}: must be NAME=VALUE`);
      const found = await withController(a, (client) => objectsOf(client, targets));
      const objects = found.filter((o) => wanted === undefined || labelOf(o, wanted[1]!) === wanted[2]);
      const output = outputOf(a);
      const isOne = targets.length === 1 && targets[0]!.name !== undefined;
      const kinds = targets.map((t) => t.kind);
      await printObjects(io, output, kinds, objects, isOne && objects.length === 1);
    },
  });

/** Objects in one of the forms. @param kinds in which order their tables come @param isOne whether a document is that of the object */
export async function printObjects(
  io: Io,
  output: Output,
  kinds: readonly Kind[],
  objects: readonly ShownObject[],
  isOne: boolean,
): Promise<void> {
  if (output === 'json' || output === 'yaml')
    return printDocument(io, output, isOne ? objects[0] : listOf(objects));
  if (output === 'name') return objects.forEach((o) => void printLine(io, objectName(o)));
  await printTables(io, new Set(kinds), objects, output === 'wide');
}

/** As the API answers with several objects. */
const listOf = (items: readonly ShownObject[]) => ({
  apiVersion: 'intransit.dev/v1alpha1',
  kind: 'List',
  items,
});

const labelOf = ({ metadata }: ShownObject, name: string): unknown => {
  const { labels } = metadata;
  return typeof labels === 'object' && labels !== null ? Reflect.get(labels, name) : undefined;
};

async function objectsOf(
  client: ControllerClient,
  targets: readonly Target[],
): Promise<readonly ShownObject[]> {
  const found = await Promise.all(
    targets.map(async (target) => {
      const document = await client.get<ShownObject & { readonly items?: readonly ShownObject[] }>(
        pathOf(target),
      );
      return target.name === undefined ? (document.items ?? []) : [document];
    }),
  );
  return found.flat();
}

/** A table for each kind. */
async function printTables(
  io: Io,
  kinds: ReadonlySet<Kind>,
  objects: readonly ShownObject[],
  isWide: boolean,
): Promise<void> {
  const { rowsOf } = await import('../../../daemon/client/index.ts');
  const tables = [...kinds].flatMap((kind) => {
    const of = objects.filter((o) => o.kind === kind);
    if (of.length === 0) return [];
    return [`${kinds.size > 1 ? `${kind}\n` : ''}${table(rowsOf(kind, of, isWide))}`];
  });
  if (tables.length === 0) io.err('intransit: there are none\n');
  else io.out(tables.join('\n'));
}

/** `describe KIND NAME` */
export const describeCommand = (io: Io) =>
  defineCommand({
    command: 'describe <what..>',
    describe: 'All about objects of the controller: what was asked for, what is, why, and what was done',
    builder: (y) =>
      controllerOptions(y).positional('what', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'KIND [NAME...], or KIND/NAME...',
      }),
    async handler(a) {
      const targets = targetsOf(a.what.map(String));
      const texts = await withController(a, async (client) => {
        const objects = await objectsOf(client, targets);
        return Promise.all(objects.map((object) => described(client, object)));
      });
      if (texts.length === 0) io.err('intransit: there are none\n');
      io.out(texts.join('\n'));
    },
  });

async function described(client: ControllerClient, object: ShownObject): Promise<string> {
  const { conditionsOf } = await import('../../../daemon/client/index.ts');
  const { name, ...metadata } = object.metadata;
  const query = new URLSearchParams({ kind: object.kind, name, limit: '20' });
  const { items } = await client.get<{ readonly items: readonly ShownEvent[] }>(
    `/api/v1alpha1/events?${query}`,
  );
  const conditions = conditionsOf(object);
  const { conditions: _, ...status } = object.status ?? {};
  const part = async (title: string, value: object | undefined) =>
    value === undefined || Object.keys(value).length === 0
      ? ''
      : `${title}:\n${indented(await yamlOf(value))}`;
  const rows = conditions.map((c) => [c.type, c.status, c.reason, c.lastTransitionTime, c.message]);
  return [
    `${objectName(object)}\n`,
    await part('metadata', metadata),
    await part('spec', object.spec),
    await part('status', status),
    rows.length === 0
      ? ''
      : `conditions:\n${indented(table([['TYPE', 'STATUS', 'REASON', 'SINCE', 'MESSAGE'], ...rows]))}`,
    `events:\n${items.length === 0 ? '  none\n' : indented(table(eventRows(items, false)))}`,
  ].join('');
}

const indented = (text: string): string => text.replace(/^(?=.)/gm, '  ');
