import { setTimeout as sleep } from 'node:timers/promises';
import type { ShownObject, StreamEvent } from '../../../daemon/client/index.ts';
import { DiagnosticError } from '../../../diagnostics/index.ts';
import { untilInterrupted } from '../../interrupted.ts';
import { type Io, printJsonLine, printLine } from '../../io.ts';
import { defineCommand, jsonOption, realNumber } from '../../options.ts';
import { controllerOptions, objectName, queryOf, withController } from './common.ts';
import type { ShownEvent } from './events.ts';

/** Between two attempts to come back to a controller that went away. */
const RETRY_MS = 1000;

/** `watch [KIND [NAME]]` */
export const watchCommand = (io: Io) =>
  defineCommand({
    command: 'watch [what..]',
    describe:
      'Objects of the controller, and every change of them as it happens: of KIND, KIND NAME or KIND/NAME',
    builder: (y) =>
      controllerOptions(jsonOption(y))
        .positional('what', {
          type: 'string',
          array: true,
          describe: 'KIND [NAME], or KIND/NAME; default all',
        })
        .option(
          'for',
          realNumber('for', 0.01, 1e6, { describe: 'End after so many seconds; default when interrupted' }),
        ),
    async handler(a) {
      const query = new URLSearchParams({
        ...queryOf(a.what, 'watch one object, or one kind'),
      });
      const abort = new AbortController();
      const { signal } = abort;
      const end = () => abort.abort();
      if (a.for !== undefined) setTimeout(end, a.for * 1000);
      else void untilInterrupted().then(end);
      const print = (event: StreamEvent) => (a.json ? printJsonLine(io, event) : printEvent(io, event));
      await withController(a, async (client) => {
        let last: string | undefined;
        for (;;) {
          try {
            for await (const event of client.stream(`/api/v1alpha1/watch?${query}`, signal, last)) {
              print(event);
              if (event.event !== 'put' || last !== undefined) last = event.id;
            }
          } catch (error) {
            if (signal.aborted) return;
            // One that never answered is not waited for.
            if (last === undefined || !(error instanceof DiagnosticError)) throw error;
            io.err(`intransit: ${error.message.split('\n')[0]}; trying again\n`);
          }
          if (signal.aborted) return;
          await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
        }
      });
    },
  });

function printEvent(io: Io, event: StreamEvent): void {
  const line = lineOf(event);
  if (line !== undefined) printLine(io, line);
}

function lineOf({ event, data }: StreamEvent): string | undefined {
  if (event === 'log') {
    const { time, type, object, reason, actor, message } = data as ShownEvent;
    return `${time} ${type} ${object.kind}/${object.name} ${reason} (${actor}): ${message}`;
  }
  if (event === 'delete') {
    const { kind, name } = data as { readonly kind: string; readonly name: string };
    return `${kind}/${name} deleted`;
  }
  if (event !== 'put') return undefined;
  const object = data as ShownObject;
  const conditions = object.status?.conditions;
  const told = Array.isArray(conditions)
    ? conditions.map((c) => `${c.type}=${c.status} (${c.reason})`).join(', ')
    : '';
  const { generation, resourceVersion } = object.metadata;
  return `${objectName(object)} generation ${generation}, version ${resourceVersion}${told && `: ${told}`}`;
}
