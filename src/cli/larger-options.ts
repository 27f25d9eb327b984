import { isIPv4 } from 'node:net';
import type { Argv } from 'yargs';
import { diagnostic, refuse } from '../diagnostics/index.ts';
import { addressOf } from '../ends/edge/index.ts';
import type { Escalation } from '../flow/escalation.ts';
import type { EscalationCounts } from '../flow/flows.ts';
import type { DeviceEscalation, LargerPath } from '../flow/larger-updates.ts';
import { LargerModel, type LargerModelPlace } from '../runtime/xdp/larger-model.ts';
import { parseEndpoint } from './endpoint.ts';
import { type Io, printDiagnostics } from './io.ts';
import { type ArgumentsOf, textOption, wholeNumber } from './options.ts';
import { UsageError } from './usage.ts';

/** Questions a second of `--live` and `--device`, unless told otherwise. */
const USUAL_RATE = 1000;
const MOST_RATE = 1_000_000;
const MOST_PORT = 510;
/** ms in which a worker must show itself before captures are read. */
const PATIENCE_MS = 2000;

/** Of `classify`: whom to ask about flows whose margin is low. */
export const largerOptions = <T>(y: Argv<T>) =>
  y
    .option('larger', textOption('HOST[:PORT] of a worker that is asked about flows whose margin is low'))
    .option('below', wholeNumber('below', 1, 255, { describe: 'Of --larger: margins below it are low' }))
    .option(
      'asks',
      wholeNumber('asks', 1, MOST_RATE, {
        describe: `Of --larger, with --live and --device: questions a second at most; ${USUAL_RATE} if absent`,
      }),
    )
    .option(
      'larger-id',
      wholeNumber('larger-id', 1, 0xffff, {
        describe: 'Of --larger: which of its models, by its id in packets; 1 if absent',
      }),
    )
    .option(
      'larger-via',
      textOption(
        'Of --larger, with a switch: PORT,IP,MAC,MAC: its port to the worker, its own addresses there, and the MAC of the next hop',
      ),
    );

/** As yargs gives them, unchecked beside each other: `largerOf` and `deviceEscalationOf` read them. */
export type LargerArguments = ArgumentsOf<typeof largerOptions>;

/** @throws UsageError */
export function checkLarger(
  a: LargerArguments & { readonly pcap?: unknown; readonly on: string },
  isSet: boolean,
): void {
  const others = [a.below, a.asks, a.largerId, a.largerVia];
  if (a.larger === undefined) {
    if (others.some((option) => option !== undefined))
      throw new UsageError('--below, --asks, --larger-id and --larger-via go with --larger');
    return;
  }
  if (a.below === undefined)
    throw new UsageError('--larger wants --below: the margin below which it is asked');
  if (isSet) throw new UsageError('--larger is asked about the flows of one model, not of a file of models');
  const isSwitch = a.on === 'bmv2';
  if (isSwitch && a.pcap !== undefined)
    throw new UsageError(
      '--larger asks about captures on the reference and XDP; a switch asks with --device',
    );
  if (isSwitch !== (a.largerVia !== undefined))
    throw new UsageError('--larger-via says how a switch reaches the worker: with --on bmv2, and no other');
  if (a.largerVia !== undefined) pathOf(a.largerVia);
  if (a.pcap !== undefined && a.asks !== undefined)
    throw new UsageError('--asks goes with --live and --device: captures wait for each answer');
}

/** Whom to ask, and about which margins. */
export type Larger = Omit<DeviceEscalation, 'path'>;

const MAC = '[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}';

/** @throws UsageError */
function pathOf(text: string): Omit<LargerPath, 'layerCount'> {
  const match = new RegExp(`^(\\d{1,3}),([\\d.]+),(${MAC}),(${MAC})$`).exec(text);
  const [, port, address, mac, nextMac] = match ?? [];
  if (port === undefined || Number(port) > MOST_PORT || !isIPv4(address!))
    throw new UsageError(
      `--larger-via ${text} is not PORT,IP,MAC,MAC: a port up to ${MOST_PORT}, an IPv4 address, and two of Ethernet`,
    );
  return { port: Number(port), address: address!, mac: mac!, nextMac: nextMac! };
}

/**
 * What a device is told of a larger model. A switch writes whole requests, which say how many layers the worker's model has: the worker
 * is asked from here.
 * @throws DiagnosticError `host-unknown`, `larger-model-silent`
 */
export async function deviceEscalationOf(a: LargerArguments): Promise<DeviceEscalation | undefined> {
  const larger = await largerOf(a);
  if (larger === undefined || a.largerVia === undefined) return larger;
  using model = new LargerModel(larger);
  await requireThere(model, larger);
  return { ...larger, path: { ...pathOf(a.largerVia), layerCount: model.layerCount! } };
}

async function requireThere(model: LargerModel, larger: Larger): Promise<void> {
  if (await model.isThere(PATIENCE_MS)) return;
  refuse('larger-model-silent', { to: nameOf(larger), reason: model.trouble ?? 'nothing is heard of it' });
}

/** @throws DiagnosticError `host-unknown` */
export async function largerOf(a: LargerArguments): Promise<Larger | undefined> {
  if (a.larger === undefined) return undefined;
  const { host, port } = parseEndpoint('larger', a.larger);
  return {
    address: await addressOf(host),
    port,
    modelId: a.largerId ?? 1,
    below: a.below!,
    rate: a.asks ?? USUAL_RATE,
  };
}

/** The worker that captures ask, or refused where it is not there: each of their questions waits for an answer. */
export interface AskedWorker extends Escalation {
  counts(): EscalationCounts;
  /** Why questions had no answer, if some had none. */
  trouble(): string | undefined;
}

/** @param classCount classes that a verdict may name @throws DiagnosticError `larger-model-silent` */
export async function openLarger(larger: Larger, classCount: number): Promise<AskedWorker & Disposable> {
  const model = new LargerModel(larger);
  try {
    await requireThere(model, larger);
  } catch (error) {
    model.close();
    throw error;
  }
  let [asked, answered] = [0, 0];
  return {
    below: larger.below,
    ask: (features) =>
      new Promise((resolve) => {
        asked++;
        model.ask(features, (verdict) => {
          const isKnown = verdict !== undefined && verdict.class < classCount;
          if (isKnown) answered++;
          resolve(isKnown ? verdict : undefined);
        });
      }),
    trouble: () => model.trouble,
    counts: () => ({ asked, answered, overdue: 0, shed: 0 }),
    [Symbol.dispose]: () => model.close(),
  };
}

/** Says so where questions had no answer. */
export function tellSilence(
  io: Io,
  larger: Larger,
  counts: EscalationCounts,
  trouble: string | undefined,
): void {
  const silent = counts.asked - counts.answered - counts.overdue;
  if (silent <= 0) return;
  const reason = trouble ?? 'it names classes that the model does not have';
  printDiagnostics(io, [diagnostic('larger-model-unanswered', { to: nameOf(larger), silent, reason })]);
}

const nameOf = ({ address, port }: LargerModelPlace): string => `${address}:${port}`;
