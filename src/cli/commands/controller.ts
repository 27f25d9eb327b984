import { dirname, join, resolve } from 'node:path';
import type { Argv } from 'yargs';
import type { Objects } from '../../daemon/index.ts';
import { defaultSocket, stateFolder } from '../../daemon/places.ts';
import { insecureWarning } from '../../doors/rules.ts';
import { doorOf, doorOptions } from '../door-options.ts';
import { untilInterrupted } from '../interrupted.ts';
import { type Io, printJson, printJsonLine, printLine } from '../io.ts';
import { type ArgumentsOf, defineCommand, jsonOption, realNumber, textOption } from '../options.ts';
import { refuseHalfPair, UsageError } from '../usage.ts';

const usage = {
  command: 'controller',
  describe: 'Run the network of manifests: keeps devices, workers and services as they say, and tells why',
  builder: (y: Argv) =>
    doorOptions(jsonOption(y), 'network')
      .option(
        'store',
        textOption(
          'sqlite:FILE, or etcd:HOST:PORT,... for several controllers; default a file of this machine',
        ),
      )
      .option(
        'listen',
        textOption(
          'unix:PATH; HOST:PORT on loopback with a token, elsewhere with TLS (port 0 takes a free one); default its usual socket',
        ),
      )
      .option(
        'token-file',
        textOption(
          'On loopback: where the token is written that clients must show; default beside the sockets',
        ),
      )
      .option(
        'node-tls-ca',
        textOption('Who signed the certificates of doors of nodes that announce themselves, PEM'),
      )
      .option('node-tls-cert', textOption('What those doors are shown, PEM'))
      .option('node-tls-key', textOption('Its key, PEM'))
      .option('cats-aggregation', {
        choices: ['worst-of', 'mean'] as const,
        default: 'worst-of' as const,
        describe: 'How scores of a node become one',
        requiresArg: true,
      })
      .option(
        'gone-after',
        realNumber('gone-after', 1, 86_400, {
          default: 60,
          describe: 'Seconds for which a node that announced itself and was lost stays an object',
        }),
      ),
};

/** `controller [--store STORE] [--listen ADDRESS]` */
// Long: the parts of a daemon, each with what it is given.
export const controllerCommand = (io: Io, version: string) =>
  defineCommand({
    ...usage,
    builder: (y) => usage.builder(y).command(copyCommand(io)),
    async handler(a) {
      const listen = doorOf(a, a.listen ?? `unix:${defaultSocket()}`);
      // Other commands start faster without it.
      const {
        admitPlaceable,
        apiListenFault,
        nameRoutes,
        openStore,
        Reconciler,
        Registry,
        registryRoutes,
        startDaemon,
      } = await import('../../daemon/index.ts');
      const fault = apiListenFault(listen);
      if (fault !== undefined) throw new UsageError(fault);
      const place = a.store ?? `sqlite:${join(stateFolder(), 'store.db')}`;
      const store = await openStore(place);
      const nodeTls = nodeTlsOf(a);
      let leader: InstanceType<typeof Reconciler> | undefined;
      const reconciler = async (objects: Objects) => {
        const made = new Reconciler(objects, {
          folder: programsOf(place),
          onFault: (text) => io.err(`intransit controller: ${text}\n`),
        });
        leader = made;
        return made;
      };
      const registry = async (objects: Objects) => {
        const made = new Registry(objects, {
          ...{ nodeTls, aggregation: a.catsAggregation, goneMs: 1000 * a.goneAfter },
          isLeading: () => leader?.isLeading === true,
        });
        return { routes: registryRoutes(made), close: () => made.close() };
      };
      const names = async (objects: Objects) => ({
        routes: nameRoutes(objects, version, (worker) => leader?.shareOf(worker) ?? 1),
        close: async () => {},
      });
      const daemon = await startDaemon({
        ...{ store, listen, tokenFile: a.tokenFile, version },
        parts: [reconciler, registry, names],
        admit: admitPlaceable,
      });
      const warning = insecureWarning(listen, 'the network');
      if (warning !== undefined) io.err(`intransit controller: ${warning}\n`);
      const interrupted = untilInterrupted();
      const { address, tokenFile } = daemon;
      const url = address.startsWith('unix:')
        ? address
        : `${listen.tls === undefined ? 'http' : 'https'}://${address}`;
      if (a.json)
        printJsonLine(io, {
          event: 'listening',
          url,
          store: store.name,
          pid: process.pid,
          ...(tokenFile && { tokenFile }),
        });
      else
        printLine(
          io,
          `listening at ${url}, store ${store.name}${tokenFile === undefined ? '' : `; token in ${tokenFile}`}`,
        );
      const signal = await interrupted;
      await daemon.close();
      io.err(`intransit controller: ${signal}: ended; the network goes on as it is\n`);
    },
  });

type Arguments = ArgumentsOf<typeof usage.builder>;

/** @throws UsageError */
function nodeTlsOf({ nodeTlsCa: ca, nodeTlsCert: cert, nodeTlsKey: key }: Arguments) {
  refuseHalfPair('node-tls', cert, key);
  if (ca === undefined && cert === undefined) return undefined;
  return {
    ...(ca !== undefined && { ca: resolve(ca) }),
    ...(cert !== undefined && key !== undefined && { cert: resolve(cert), key: resolve(key) }),
  };
}

/** Compiled programs are kept beside a store that is a file. */
const programsOf = (store: string): string =>
  join(
    store.startsWith('sqlite:') ? dirname(resolve(store.slice('sqlite:'.length))) : stateFolder(),
    'programs',
  );

/** `controller copy-store FROM TO` */
const copyCommand = (io: Io) =>
  defineCommand({
    command: 'copy-store <from> <to>',
    describe:
      'Copy everything of one store into another, which is empty; no controller may be at work on either',
    builder: (y) =>
      jsonOption(y)
        .positional('from', {
          type: 'string',
          demandOption: true,
          describe: 'sqlite:FILE or etcd:HOST:PORT,...',
        })
        .positional('to', { type: 'string', demandOption: true, describe: 'The same, of the other' }),
    async handler({ from, to, json }) {
      const { copyStore, openStore } = await import('../../daemon/index.ts');
      const source = await openStore(from);
      try {
        const target = await openStore(to);
        try {
          const report = await copyStore(source, target);
          if (json) return printJson(io, report);
          printLine(io, `${to}: ${report.objects} objects, ${report.events} events, ${report.files} files`);
        } finally {
          await target.close();
        }
      } finally {
        await source.close();
      }
    },
  });
