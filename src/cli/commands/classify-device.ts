import type { Argv } from 'yargs';
import { readBytes } from '../../files.ts';
import type { NamedAction } from '../../flow/actions.ts';
import { classifyOnDevice, type DeviceProgram, type FlowDevice } from '../../flow/device.ts';
import { actionsJson, className, endsText, transportName } from '../../flow/report.ts';
import type { ToldVerdict } from '../../runtime/xdp/flow-actions.ts';
import { classTable } from '../flow-text.ts';
import { type Io, printJson } from '../io.ts';
import { deviceEscalationOf, type LargerArguments } from '../larger-options.ts';
import { type ArgumentsOf, textOption } from '../options.ts';
import { untilOver } from '../until-over.ts';
import { refuseHalfPair, UsageError } from '../usage.ts';

/** Of `classify`: a device that is to do it. */
export const deviceOptions = <T>(y: Argv<T>) =>
  y
    .option(
      'device',
      textOption(
        'P4Runtime device (unix:PATH or HOST:PORT) that is to classify; --on says its kind: xdp or bmv2',
      ),
    )
    .option('device-id', {
      type: 'string',
      default: '1',
      describe: 'Of --device: its id',
      requiresArg: true,
    })
    .option('tls-ca', textOption('Of --device: over TLS; who must have signed its certificate, PEM'))
    .option('tls-cert', textOption('Of --device: our certificate, for one that asks for it, PEM'))
    .option('tls-key', textOption('Its key, PEM'))
    .option(
      'tls-name',
      textOption('Of --device: the name in its certificate, where it is not the one dialled'),
    )
    .option('ports', {
      type: 'string',
      array: true,
      describe: 'Of --device: FROM=TO, packets of a port go to another; once for each',
      requiresArg: true,
    });

/** What `classify` reads of a device. */
export type DeviceArguments = ArgumentsOf<typeof deviceOptions> &
  LargerArguments & {
    readonly on: string;
    readonly seconds?: number | undefined;
    readonly json: boolean;
  };

const TLS_OPTIONS = ['tlsCa', 'tlsCert', 'tlsKey', 'tlsName'] as const;

/** Which options go together. @throws UsageError */
export function checkDevice(
  a: DeviceArguments & { readonly [K in 'labels' | 'csv' | 'html']?: string | undefined },
): void {
  const isTls = TLS_OPTIONS.some((name) => a[name] !== undefined);
  refuseHalfPair('tls', a.tlsCert, a.tlsKey);
  if (isTls && a.tlsCa === undefined)
    throw new UsageError('TLS wants --tls-ca: who must have signed the certificate of the device');
  if (a.device === undefined) {
    if (isTls) throw new UsageError('--tls-... go with --device');
    if (a.ports !== undefined) throw new UsageError('--ports goes with --device');
    return;
  }
  if (a.on !== 'xdp' && a.on !== 'bmv2')
    throw new UsageError('--device wants --on xdp or --on bmv2: its kind');
  if (a.labels !== undefined || a.csv !== undefined || a.html !== undefined)
    throw new UsageError('a device tells counts, not flows: leave out --labels, --csv and --html');
}

/** A line for each flow that is told. */
export const toldLine =
  (io: Io, names: readonly string[] | undefined) =>
  (v: ToldVerdict): void => {
    const { client, server } = endsText(v);
    io.err(
      `${transportName(v.protocol)} ${client} to ${server}: ${className(names, v.class)}, margin ${v.margin}\n`,
    );
  };

/** A device of P4Runtime: the program goes there, and its counts are told at the end. */
export async function overDevice(
  io: Io,
  a: DeviceArguments,
  subject: {
    readonly program: (device: FlowDevice) => DeviceProgram;
    readonly model: string;
    readonly features: string;
    readonly classCount: number;
    readonly actions: readonly NamedAction[];
    readonly names: readonly string[] | undefined;
  },
): Promise<void> {
  const { model, features, actions, names } = subject;
  const device = {
    address: a.device!,
    deviceId: deviceIdOf(a.deviceId),
    kind: a.on as 'xdp' | 'bmv2',
    ports: (a.ports ?? []).map(crossingOf),
    tls: tlsOf(a),
    escalation: await deviceEscalationOf(a),
  };
  const program = subject.program(device);
  const found = await untilOver(a.seconds, (until) =>
    classifyOnDevice(program, device, actions, subject.classCount, {
      until,
      ready: () => io.err(`${a.device}: classifying${a.seconds === undefined ? '; end with Ctrl-C' : ''}\n`),
      told: toldLine(io, names),
      lost: (reason) => io.err(`intransit classify: ${a.device}: lost (${reason}); trying again\n`),
    }),
  );
  const classes = actionsJson(found.classes, names);
  if (a.json) {
    printJson(io, {
      device: a.device,
      on: a.on,
      ...{ model, features },
      outcomes: found.outcomes,
      ...(found.models && { models: found.models }),
      classes,
    });
    return;
  }
  const happened = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ') || 'no packet';
  io.out(`${happened(found.outcomes)}\n`);
  for (const { name, outcomes } of found.models ?? []) io.out(`${name}: ${happened(outcomes)}\n`);
  io.out('\n');
  io.out(classTable(classes));
}

function deviceIdOf(text: string): bigint {
  if (!/^\d{1,20}$/.test(text) || BigInt(text) >= 2n ** 64n)
    throw new UsageError(`--device-id ${text} is no number below 2^64`);
  return BigInt(text);
}

/** @throws DiagnosticError where a file cannot be read */
function tlsOf(a: DeviceArguments): FlowDevice['tls'] {
  if (a.tlsCa === undefined) return undefined;
  return {
    ca: readBytes(a.tlsCa, 'pem'),
    ...(a.tlsCert !== undefined && { cert: readBytes(a.tlsCert, 'pem') }),
    ...(a.tlsKey !== undefined && { key: readBytes(a.tlsKey, 'pem') }),
    ...(a.tlsName !== undefined && { serverName: a.tlsName }),
  };
}

function crossingOf(text: string): { from: number; to: number } {
  const [, from, to] = /^(\d{1,3})=(\d{1,3})$/.exec(text) ?? [];
  if (from === undefined || Number(from) > 510 || Number(to) > 510)
    throw new UsageError(`--ports ${text} is not FROM=TO, two numbers of ports up to 510`);
  return { from: Number(from), to: Number(to) };
}
