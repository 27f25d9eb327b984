import type { HandedOver } from '../../../daemon/names/handover.ts';
import { type Io, printJson, printLine } from '../../io.ts';
import { defineCommand, jsonOption } from '../../options.ts';
import { controllerOptions, withController } from './common.ts';

/** `handover JOB WORKER` */
export const handoverCommand = (io: Io) =>
  defineCommand({
    command: 'handover <job> <worker>',
    describe: 'Move a running job with its state to another worker',
    builder: (y) =>
      controllerOptions(jsonOption(y))
        .positional('job', { type: 'string', demandOption: true, describe: 'Name of a Job' })
        .positional('worker', {
          type: 'string',
          demandOption: true,
          describe: 'Name of the worker to go to',
        }),
    async handler(a) {
      const path = `/api/v1alpha1/jobs/${encodeURIComponent(a.job)}/handover`;
      const moved = await withController(a, (client) =>
        client.send<HandedOver>('POST', path, { to: a.worker }),
      );
      if (a.json) return printJson(io, moved);
      printLine(
        io,
        `Job/${moved.job} moved from Worker/${moved.from} to Worker/${moved.to}, with ${moved.rows} rows that waited`,
      );
    },
  });
