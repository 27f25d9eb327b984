import { lookup } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import type { Argv } from 'yargs';
import { LargerModel, type LargerModelPlace } from '../devices/larger-model.ts';
import { diagnostic, refuse } from '../diagnostics/index.ts';
import type { Escalation } from '../flow/escalation.ts';
import type { EscalationCounts } from '../flow/flows.ts';
import { parseEndpoint } from './endpoint.ts';
import { type Io, printDiagnostics } from './io.ts';
import { wholeNumber } from './options.ts';
import { UsageError } from './usage.ts';

/** Of `classify`: whom to ask about flows whose margin is low. */
export interface LargerArguments {
  readonly larger?: string | undefined;
  readonly below?: number | undefined;
  readonly asks?: number | undefined;
  readonly largerId?: number | undefined;
}

/** Questions a second of `--live` and `--device`, unless told otherwise. */
const USUAL_RATE = 1000;
const MOST_RATE = 1_000_000;
/** ms in which a worker must show itself before captures are read. */
const PATIENCE_MS = 2000;

export const largerOptions = <T>(y: Argv<T>) =>
  y
    .option('larger', {
      type: 'string',
      describe: 'HOST[:PORT] of a worker that is asked about flows whose margin is low',
      requiresArg: true,
    })
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
    );

/** @throws UsageError */
export function checkLarger(
  a: LargerArguments & { readonly pcap?: unknown; readonly on: string },
  isSet: boolean,
): void {
  if (a.larger === undefined) {
    if (a.below !== undefined || a.asks !== undefined || a.largerId !== undefined)
      throw new UsageError('--below, --asks and --larger-id go with --larger');
    return;
  }
  if (a.below === undefined)
    throw new UsageError('--larger wants --below: the margin below which it is asked');
  if (isSet) throw new UsageError('--larger is asked about the flows of one model, not of a file of models');
  if (a.on === 'bmv2') throw new UsageError('--larger goes with the reference and XDP, not with --on bmv2');
  if (a.pcap !== undefined && a.asks !== undefined)
    throw new UsageError('--asks goes with --live and --device: captures wait for each answer');
}

/** Whom to ask, and about which margins. */
export interface Larger extends LargerModelPlace {
  readonly below: number;
  readonly rate: number;
}

/** @throws DiagnosticError `host-unknown` */
export async function largerOf(a: LargerArguments): Promise<Larger | undefined> {
  if (a.larger === undefined) return undefined;
  const { host, port } = parseEndpoint('larger', a.larger);
  return {
    address: isIPv4(host) ? host : await addressOf(host),
    port,
    modelId: a.largerId ?? 1,
    below: a.below!,
    rate: a.asks ?? USUAL_RATE,
  };
}

async function addressOf(host: string): Promise<string> {
  try {
    return (await lookup(host, { family: 4 })).address;
  } catch (error) {
    return refuse('host-unknown', { host, reason: (error as NodeJS.ErrnoException).code ?? String(error) });
  }
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
  if (!(await model.isThere(PATIENCE_MS))) {
    const reason = model.trouble ?? 'nothing is heard of it';
    model.close();
    return refuse('larger-model-silent', { to: nameOf(larger), reason });
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
