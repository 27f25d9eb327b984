import { flowOutcomes } from '../backends/common/flow/outcomes.ts';
import { keyCode } from '../backends/xdp/flow/key.ts';
import { FLOW_PLACES, placeBytes, type XdpFlowPlan } from '../backends/xdp/flow/plan.ts';
import { attachXdp, interfaceDriver } from '../bpf/index.ts';
import { endsAreTold, type FeatureDefinition } from '../features/definition.ts';
import { noOutcomes } from '../features/extract.ts';
import { endText } from '../features/labels.ts';
import { classCount } from '../model/classes.ts';
import type { Model } from '../model/model.ts';
import type { FlowQuestion, ToldEnd, ToldVerdict } from '../runtime/xdp/flow-actions.ts';
import { type Asking, askLarger } from '../runtime/xdp/flow-asking.ts';
import type { XdpFlowDevice } from '../runtime/xdp/flow-device.ts';
import { sweepRegularly } from '../runtime/xdp/flow-sweep.ts';
import type { LargerModel } from '../runtime/xdp/larger-model.ts';
import { planFlowOrRefuse } from '../targets/xdp/flows.ts';
import type { NamedAction } from './actions.ts';
import type { Classification, FlowRecord } from './flows.ts';
import { LiveActions } from './live-actions.ts';
import { endsText } from './report.ts';
import type { FlowSet } from './set.ts';
import { type LoadedProgram, loadXdpSet } from './set-engines.ts';
import { loadXdpFlow } from './xdp.ts';

/** Bytes of a bucket before its places: lock, generation, tags, times. */
const BUCKET = { tags: 8, seen: 24, places: 64 } as const;
const [KNOWN, SWAPPED, ANSWERED] = [16n, 17n, 19n];

/** What is done with packets of classes, and who hears of flows that become one. */
export interface Acting {
  readonly actions: readonly NamedAction[];
  readonly told: (verdict: ToldVerdict) => void;
}

/** Whom the kernel's program asks about flows, and when. */
export interface LiveAsking extends Asking {
  readonly model: LargerModel;
}

/**
 * Classifies what an interface receives, in the kernel, until told to stop; packets go on to the host as they came, unless their
 * class has an action.
 * @param until is asked once the program is attached
 * @param attached is told once packets are counted, of the mode
 * @param acting what is done with packets by the class of their flow; without, nothing
 * @param asking who is asked about flows of low margin; without, nobody
 * @throws DiagnosticError, BpfError where the program does not fit or the interface is not there
 */
export async function classifyLive(
  definition: FeatureDefinition,
  model: Model,
  name: string,
  until: () => Promise<unknown>,
  attached: (mode: string) => void,
  acting?: Acting,
  asking?: LiveAsking,
): Promise<Classification> {
  const plan = planFlowOrRefuse(definition, model, {}, { records: true });
  const loaded = { test: false, acts: acting !== undefined, asks: asking !== undefined };
  using device = await loadXdpFlow(plan, loaded);
  return await classifyWith([{ plan, device }], name, until, attached, classCount(model), acting, asking);
}

/** The same by several models, each for its packets. @throws DiagnosticError, BpfError as `classifyLive` */
export async function classifySetLive(
  set: FlowSet,
  name: string,
  until: () => Promise<unknown>,
  attached: (mode: string) => void,
  acting?: Acting,
): Promise<Classification> {
  using loaded = await loadXdpSet(set, { test: false, acts: acting !== undefined, records: true });
  return await classifyWith(loaded.programs, name, until, attached, set.classes.length, acting);
}

/** @param programs the first stands on the interface; of others that have no flows none are told */
// Long: one resource after the other is opened and closed in turn.
async function classifyWith(
  programs: readonly LoadedProgram[],
  name: string,
  until: () => Promise<unknown>,
  attached: (mode: string) => void,
  classCount: number,
  acting: Acting | undefined,
  asking?: LiveAsking,
): Promise<Classification> {
  const { device } = programs[0]!;
  const withFlows = programs.filter(({ plan }) => !plan.role.perPacket);
  const endings = withFlows.filter(({ plan }) => endsAreTold(plan.definition));
  const atEnd = endings.length > 0;
  const ends: (ToldEnd & { readonly larger?: true })[] = [];
  const hearsEnd = atEnd ? (end: ToldEnd) => ends.push(end) : undefined;
  const told = acting?.told ?? (() => {});
  const isTold = (now: ToldVerdict) => acting?.actions.some((a) => a.class === now.class && a.tell) ?? false;
  const ask =
    asking &&
    askLarger({
      ...{ model: asking.model, answers: device.answers, classCount },
      answered: (before, now) => {
        const at = ends.findLastIndex((end) => isSameEnd(end, before));
        if (at >= 0) ends[at] = { ...ends[at]!, class: now.class, margin: now.margin, larger: true };
        if (now.class !== before.class && isTold(now)) told(now);
      },
    });
  using done =
    acting || atEnd || asking
      ? new LiveActions(device, acting?.actions ?? [], told, hearsEnd, ask)
      : undefined;
  if (asking !== undefined) device.ask(asking);
  // What a native program of a veth redirects is dropped without a word, unless its peer has a program too.
  const mode = acting !== undefined && interfaceDriver(name) === 'veth' ? 'generic' : 'auto';
  const link = attachXdp(device.program, { interface: name, mode });
  try {
    attached(link.mode ?? 'native');
    const sweeping = atEnd ? sweepRegularly((isOver) => sweepAll(endings, isOver)) : undefined;
    try {
      await until();
    } finally {
      sweeping?.stop();
    }
  } finally {
    link.detach();
  }
  // With the classification its flows end.
  for (const ending of endings) await ending.device.sweep(true);
  done?.consume();
  const classes = acting && done ? done.counts(classCount) : undefined;
  // Answers that are under way are waited for: an answer is worth little, but the count of those asked is to add up.
  await asking?.model.idle();
  const counts = device.counts();
  const outcomes = flowOutcomes.map(({ name: outcome }) => [outcome, Number(counts[outcome])] as const);
  const flows = [
    ...withFlows
      .filter((p) => !endings.includes(p))
      .flatMap(({ plan, device: own }) => recordsOf(plan, own, name)),
    ...endedFlows(ends, endings[0]?.plan.definition, name),
  ]
    .sort((x, y) => (x.begunNs < y.begunNs ? -1 : x.begunNs > y.begunNs ? 1 : 0))
    .map((record, i) => ({ ...record, flow: i + 1 }));
  const all: Classification['outcomes'] = {
    ...noOutcomes(),
    collided: 0,
    cached: 0,
    failed: 0,
    ...Object.fromEntries(outcomes),
  };
  return {
    flows,
    verdicts: [],
    verdictCount: all.classified + Number(counts.ended),
    frames: Object.values(all).reduce((a, b) => a + b, 0),
    outcomes: all,
    diagnostics: [],
    ...(classes && { classes }),
    ...(asking && {
      escalation: {
        asked: Number(counts.asked),
        answered: Number(counts.answered),
        overdue: Number(counts.overdue),
        shed: Number(counts.shed),
      },
    }),
  };
}

async function sweepAll(programs: readonly LoadedProgram[], isOver: () => boolean): Promise<void> {
  for (const { device } of programs) await device.sweep(false, isOver);
}

/** The kernel's clock, which is this process's too, began with the machine: nanoseconds since 1970 of its zero. */
const clockOrigin = (): bigint => BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();

/** The flows that ended. */
function endedFlows(
  ends: readonly (ToldEnd & { readonly larger?: true })[],
  definition: FeatureDefinition | undefined,
  capture: string,
): Omit<FlowRecord, 'flow'>[] {
  const clockNs = definition?.clockNs ?? 1;
  const origin = clockOrigin();
  return ends.map((v) => ({
    capture,
    protocol: v.protocol,
    ...endsText(v),
    packets: Number(v.packets),
    begunNs: origin + v.begun * BigInt(clockNs),
    seenNs: origin + v.seen * BigInt(clockNs),
    verdicts: 1,
    verdict: { class: v.class, margin: v.margin },
    ...(v.larger && { larger: true }),
    label: undefined,
  }));
}

/** Whether a flow that was asked about when it ended is that of the record. */
const isSameEnd = (end: ToldEnd, asked: FlowQuestion): boolean =>
  end.protocol === asked.protocol &&
  end.clientPort === asked.clientPort &&
  end.serverPort === asked.serverPort &&
  end.client.equals(asked.client) &&
  end.server.equals(asked.server) &&
  end.features.subarray(0, asked.features.length).equals(asked.features);

/** The flows that a table holds. */
function recordsOf(plan: XdpFlowPlan, device: XdpFlowDevice, capture: string): Omit<FlowRecord, 'flow'>[] {
  const key = keyCode(plan.definition);
  const size = placeBytes(plan, key.words);
  const clockNs = BigInt(plan.definition.clockNs);
  const origin = clockOrigin();
  const table = device.map('flows');
  const found: Omit<FlowRecord, 'flow'>[] = [];
  for (let index = 0; index < table.info.maxEntries; index++) {
    const bucket = table.lookup(index)!;
    for (let i = 0; i < FLOW_PLACES; i++) {
      if (bucket.readUInt32LE(BUCKET.tags + 4 * i) === 0) continue;
      const at = BUCKET.places + i * size;
      const words = Array.from({ length: key.words }, (_, w) => bucket.readBigUInt64LE(at + 8 * w));
      const [verdict, begun, packets] = [0, 1, 2].map((w) =>
        bucket.readBigUInt64LE(at + 8 * (key.words + w)),
      ) as [bigint, bigint, bigint];
      const ends = endsOf(key.places, words);
      const isSwapped = ((verdict >> SWAPPED) & 1n) === 1n;
      const isKnown = ((verdict >> KNOWN) & 1n) === 1n;
      found.push({
        capture,
        protocol: ends.protocol,
        client: isSwapped ? ends.destination : ends.source,
        server: isSwapped ? ends.source : ends.destination,
        packets: Number(packets),
        begunNs: origin + begun * clockNs,
        seenNs: origin + bucket.readBigUInt64LE(BUCKET.seen + 8 * i) * clockNs,
        verdicts: isKnown ? 1 : 0,
        verdict: isKnown
          ? { class: Number(verdict & 0xffn), margin: Number((verdict >> 8n) & 0xffn) }
          : undefined,
        ...(((verdict >> ANSWERED) & 1n) === 1n && { larger: true }),
        label: undefined,
      });
    }
  }
  return found;
}

/** The ends that a key has; what is no part of it is 0. */
function endsOf(places: ReturnType<typeof keyCode>['places'], words: readonly bigint[]) {
  const parts = (field: string) =>
    places
      .filter((p) => p.field === field)
      .map((p) => ({
        bits: p.bits,
        value: (words[p.word]! >> BigInt(p.shift)) & ((1n << BigInt(p.bits)) - 1n),
      }));
  const number = (field: string) => Number(parts(field)[0]?.value ?? 0n);
  const hasVersion = places.some((p) => p.field === 'ip.version');
  const end = (address: 'ip.source' | 'ip.destination', port: 'port.source' | 'port.destination') => {
    const all = parts(address);
    const isIpv6 = all.length > 1 && (!hasVersion || number('ip.version') === 1);
    const bytes = Buffer.alloc(isIpv6 ? 16 : 4);
    if (isIpv6) for (const [i, part] of all.entries()) bytes.writeBigUInt64BE(part.value, 8 * i);
    else bytes.writeUInt32BE(Number((all[0]?.value ?? 0n) & 0xffffffffn));
    return endText(bytes, number(port));
  };
  return {
    protocol: number('ip.protocol'),
    source: end('ip.source', 'port.source'),
    destination: end('ip.destination', 'port.destination'),
  };
}
