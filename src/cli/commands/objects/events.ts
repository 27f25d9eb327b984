import { type Io, table } from '../../io.ts';
import { defineCommand, lastTextOption, wholeNumber } from '../../options.ts';
import { UsageError } from '../../usage.ts';
import {
  controllerOptions,
  outputOf,
  outputOption,
  printDocument,
  queryOf,
  withController,
} from './common.ts';

/** An entry of the controller's log, as the API answers it. */
export interface ShownEvent {
  readonly id: string;
  readonly time: string;
  readonly type: string;
  readonly reason: string;
  readonly actor: string;
  readonly message: string;
  readonly object: { readonly kind: string; readonly name: string };
}

/** `events [KIND [NAME]]` */
export const eventsCommand = (io: Io) =>
  defineCommand({
    command: 'events [what..]',
    describe:
      "The controller's log: what was decided and done, by whom and why; of KIND, KIND NAME or KIND/NAME",
    builder: (y) =>
      controllerOptions(outputOption(y))
        .positional('what', { type: 'string', array: true, describe: 'KIND [NAME], or KIND/NAME' })
        .option(
          'since',
          lastTextOption('From then on: a time as 2030-01-31T12:00:00Z, or so long ago: 90s, 10m, 2h, 3d'),
        )
        .option('until', lastTextOption('Before then'))
        .option('actor', lastTextOption('Of whom: a client, or a part of the controller'))
        .option('limit', wholeNumber('limit', 1, 10_000, { default: 1000, describe: 'The newest of them' })),
    async handler(a) {
      const query = new URLSearchParams({
        ...queryOf(a.what, 'events are of one object, or of one kind'),
        ...(a.actor !== undefined && { actor: a.actor }),
        ...(a.since !== undefined && { since: timeOf('since', a.since) }),
        ...(a.until !== undefined && { until: timeOf('until', a.until) }),
        limit: `${a.limit}`,
      });
      const { items } = await withController(a, (client) =>
        client.get<{ readonly items: readonly ShownEvent[] }>(`/api/v1alpha1/events?${query}`),
      );
      const output = outputOf(a);
      if (output === 'json' || output === 'yaml')
        return printDocument(io, output, { kind: 'EventList', items });
      if (items.length === 0) io.err('intransit: there are none\n');
      else io.out(table(eventRows(items, output === 'wide')));
    },
  });

/** The head of the table, then a row an event. @param isWide with their ids, too */
export const eventRows = (events: readonly ShownEvent[], isWide: boolean): readonly (readonly string[])[] => [
  [...(isWide ? ['ID'] : []), 'TIME', 'TYPE', 'OBJECT', 'REASON', 'ACTOR', 'MESSAGE'],
  ...events.map((e) => [
    ...(isWide ? [e.id] : []),
    e.time,
    e.type,
    `${e.object.kind}/${e.object.name}`,
    e.reason,
    e.actor,
    e.message,
  ]),
];

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** @throws UsageError */
function timeOf(option: string, text: string): string {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const at = unit === undefined ? Date.parse(text) : Date.now() - Number(count) * UNITS[unit]! * 1000;
  const isTime = unit !== undefined || /^\d{4}-\d{2}-\d{2}/.test(text);
  if (!isTime || Number.isNaN(at) || Math.abs(at) > 8.64e15)
    throw new UsageError(`--${option} ${text}: must be a time as 2030-01-31T12:00:00Z, or 90s, 10m, 2h, 3d`);
  return new Date(at).toISOString();
}
