import { freemem } from 'node:os';
import { resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Argv } from 'yargs';
import { NAME_PATTERN } from '../daemon/manifests/fields.ts';
import type { RegistrationInput } from '../daemon/registry/schema.ts';
import { type ArgumentsOf, lastTextOption, realNumber, textOption } from './options.ts';
import { refuseHalfPair, refuseLone, UsageError } from './usage.ts';

/** Options of a node that announces itself to a controller. */
export const announceOptions = <T>(y: Argv<T>) =>
  y
    .option(
      'controller',
      lastTextOption(
        'Announce this node to the controller there: unix:/path, http://HOST:PORT or https://HOST:PORT',
      ),
    )
    .option('controller-token-file', textOption('File with its token'))
    .option('controller-ca', textOption('Who signed its certificate, PEM'))
    .option('controller-cert', textOption('What it is shown, PEM'))
    .option('controller-key', textOption('Its key, PEM'))
    .option(
      'advertise',
      textOption('HOST:PORT at which the controller reaches the door of this node; default where it listens'),
    )
    .option('attach', {
      type: 'string',
      array: true,
      describe: 'DEVICE:PORT[,LATENCY-US]: how packets reach this node; once for each',
      requiresArg: true,
    })
    .option('zone', {
      type: 'string',
      default: 'default',
      describe: 'Zone of the planner that it is announced in',
      requiresArg: true,
    })
    .option(
      'lease',
      realNumber('lease', 1, 600, {
        default: 15,
        describe: 'Seconds after which it counts as lost if the controller has not heard of it',
      }),
    );

/** Of a node that may announce itself. */
export type AnnounceArguments = ArgumentsOf<typeof announceOptions>;

/** @throws UsageError where the options do not go together */
export function checkAnnounce(a: AnnounceArguments): void {
  if (a.controller === undefined) {
    const others = {
      'controller-token-file': a.controllerTokenFile,
      'controller-ca': a.controllerCa,
      'controller-cert': a.controllerCert,
      'controller-key': a.controllerKey,
      advertise: a.advertise,
      attach: a.attach,
    };
    refuseLone('controller', others, 'name the controller');
    return;
  }
  refuseHalfPair('controller', a.controllerCert, a.controllerKey);
  linksOf(a);
}

/** @throws UsageError */
export function nodeName(name: string): string {
  if (NAME_PATTERN.test(name)) return name;
  throw new UsageError(
    `--name ${name}: a controller knows nodes by small letters, digits, - and ., at most 63 of them`,
  );
}

/** @throws UsageError */
function linksOf({ attach = [] }: AnnounceArguments): NonNullable<RegistrationInput['links']> {
  return attach.map((text) => {
    const [, node, port, latency = '0'] =
      /^([a-z0-9][a-z0-9.-]*):(\d{1,3})(?:,(\d+(?:\.\d+)?))?$/.exec(text) ?? [];
    if (node === undefined || Number(port) > 510)
      throw new UsageError(`--attach ${text}: must be DEVICE:PORT or DEVICE:PORT,LATENCY-US`);
    return { node, port: Number(port), latencyUs: Number(latency) };
  });
}

/** The address of a door as the controller dials it. @throws UsageError where nobody else could */
export function advertised({ advertise }: AnnounceArguments, address: string): string {
  if (advertise !== undefined) {
    if (/^(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}$/.test(advertise)) return advertise;
    throw new UsageError(`--advertise ${advertise}: must be HOST:PORT`);
  }
  // The controller has a folder of its own.
  if (address.startsWith('unix:')) return `unix:${resolve(address.replace(/^unix:(\/\/(?=\/))?/, ''))}`;
  if (/^(0\.0\.0\.0|\[::\]):/.test(address))
    throw new UsageError(`nobody dials ${address}: name the host with --advertise HOST:PORT`);
  return address;
}

/** Share of the time since the last call in which this process was busy. */
function busyMeter(): () => number {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization;
  };
}

interface Node {
  readonly registration: Omit<RegistrationInput, 'instance' | 'metrics' | 'leaseMs' | 'capability' | 'links'>;
  readonly capability: () => Omit<RegistrationInput['capability'], 'load'>;
  /** What it can say beside how busy it is, and its free memory. */
  readonly measure?: () => Omit<import('../daemon/client/index.ts').Measures, 'busy' | 'memoryFreeBytes'>;
  readonly say: (text: string) => void;
}

/** Announces a node until it is closed; undefined where no controller was named. @throws DiagnosticError */
export async function announce(a: AnnounceArguments, node: Node) {
  if (a.controller === undefined) return undefined;
  const { Announcer, ControllerClient } = await import('../daemon/client/index.ts');
  const client = new ControllerClient({
    url: a.controller,
    tokenFile: a.controllerTokenFile,
    tlsCa: a.controllerCa,
    tlsCert: a.controllerCert,
    tlsKey: a.controllerKey,
  });
  const busy = busyMeter();
  return new Announcer({
    client,
    ...node,
    registration: { ...node.registration, links: linksOf(a) },
    measure: () => ({ busy: busy(), memoryFreeBytes: freemem(), ...node.measure?.() }),
    leaseMs: Math.round(1000 * a.lease),
    onEvent: (event) =>
      node.say(
        'registered' in event
          ? `announced to ${a.controller} as ${event.registered.kind}/${event.registered.name}`
          : `not announced: ${event.failed.join('; ')}; it is tried again`,
      ),
  });
}
