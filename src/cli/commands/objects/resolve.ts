import type { Argv } from 'yargs';
import type { Resolution } from '../../../daemon/names/resolve.ts';
import { type Io, printJson, printLine, table } from '../../io.ts';
import { type ArgumentsOf, defineCommand, jsonOption, lastOf, lastTextOption } from '../../options.ts';
import { UsageError } from '../../usage.ts';
import { controllerOptions, withController } from './common.ts';

const TYPES = ['service', 'job', 'workflow', 'agent', 'device', 'worker'] as const;

const usage = {
  command: 'resolve [name]',
  describe: 'What a name stands for: addresses, model ids and labels; without a name all that there are',
  builder: (y: Argv) =>
    controllerOptions(jsonOption(y))
      .positional('name', { type: 'string', describe: 'NAME, or TYPE/NAME where several have it' })
      .option('type', {
        choices: TYPES,
        describe: 'Only of this type',
        requiresArg: true,
        coerce: lastOf<(typeof TYPES)[number]>,
      })
      .option('selector', { alias: 'l', ...lastTextOption('Only with these labels: NAME=VALUE,...') })
      .option('model', lastTextOption('Only with this model, by name or id'))
      .option('dns-sd', {
        type: 'boolean',
        default: false,
        describe: 'As DNS-SD records, the text of a zone file',
      })
      .option('domain', lastTextOption('Of these records; default intransit.internal'))
      .option('agent-card', { type: 'boolean', default: false, describe: 'As an A2A agent card' }),
};

/** `resolve [NAME]` */
export const resolveCommand = (io: Io) =>
  defineCommand({
    ...usage,
    async handler(a) {
      check(a);
      if (a.dnsSd) return io.out(await withController(a, (client) => client.text(zonePath(a))));
      if (a.agentCard)
        return printJson(io, await withController(a, (client) => client.get<object>(cardPath(a))));
      const { items } = await withController(a, (client) =>
        client.get<{ readonly items: readonly Resolution[] }>(namesPath(a)),
      );
      if (a.json) return printJson(io, { names: items });
      printLine(io, table([ROWS, ...items.map(rowOf)]).trimEnd());
    },
  });

type Arguments = ArgumentsOf<typeof usage.builder>;

/** @throws UsageError */
function check(a: Arguments): void {
  const isFiltered = (a.type ?? a.selector ?? a.model) !== undefined;
  if (a.name !== undefined && (isFiltered || a.dnsSd))
    throw new UsageError('a name stands alone: --type, --selector, --model and --dns-sd are of all names');
  if (a.dnsSd && a.agentCard) throw new UsageError('choose one of --dns-sd and --agent-card');
  if (a.domain !== undefined && !a.dnsSd) throw new UsageError('--domain is of --dns-sd');
  if (a.agentCard && isFiltered) throw new UsageError('--agent-card is of one name, or of the network');
}

const ROWS = ['NAME', 'TYPE', 'READY', 'MODELS', 'ADDRESSES', 'LABELS'] as const;

const rowOf = (r: Resolution): readonly string[] => [
  r.name,
  r.type,
  r.ready ? 'yes' : 'no',
  r.models.map((m) => `${m.model}/${m.modelId}${m.version === undefined ? '' : `@${m.version}`}`).join(','),
  r.addresses
    .map(({ address, score }) => (score === undefined ? address : `${address} (${score})`))
    .join(','),
  Object.entries(r.labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(','),
];

const at = (path: string): string => `/api/v1alpha1${path}`;

function namesPath(a: Arguments): string {
  if (a.name !== undefined) return at(`/names/${encodeURIComponent(a.name)}`);
  const { type, selector: label, model } = a;
  const query = new URLSearchParams({
    ...(type && { type }),
    ...(label && { label }),
    ...(model && { model }),
  });
  return at(`/names?${query}`);
}

const zonePath = (a: Arguments): string => {
  const path = namesPath(a).replace('/names?', '/names.zone?');
  return a.domain === undefined ? path : `${path}&domain=${encodeURIComponent(a.domain)}`;
};

const cardPath = ({ name }: Arguments): string =>
  name === undefined
    ? '/.well-known/agent-card.json'
    : at(`/names/${encodeURIComponent(name)}/agent-card.json`);
