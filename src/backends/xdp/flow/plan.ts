import { type Diagnostic, diagnostic } from '../../../diagnostics/index.ts';
import type { FeatureDefinition, Scalar } from '../../../features/definition.ts';
import type { Model } from '../../../model/model.ts';
import { planXdp, type XdpOptions, type XdpPlan } from '../plan.ts';

/** All that a program of flow mode is made from. */
export interface XdpFlowPlan {
  readonly definition: FeatureDefinition;
  /** The layers; the model reads the features and ends in a verdict. */
  readonly compute: XdpPlan;
  /** Buckets of four flows each: a power of two. */
  readonly buckets: number;
  /** Where each scalar lies in a place: C's type of unsigned numbers. */
  readonly types: readonly CType[];
  /** Whether a place keeps how many packets its flow had, and when it began. */
  readonly keepsPackets: boolean;
  readonly keepsBeginning: boolean;
  /** Whether state is copied to memory to be read: too much of it for registers and the stack. */
  readonly copies: boolean;
}

export type CType = '__u8' | '__u16' | '__u32' | '__u64';

/** Flows that one hash leads to: INTRANSIT_FLOW_PLACES. */
export const FLOW_PLACES = 4;

/** More scalars would not stay in registers and 512 bytes of stack, before and after the packet. */
const MOST_ON_STACK = 12;

/** Bytes of a map's value: the kernel takes what kmalloc gives, and a bucket is one. */
const MOST_BUCKET_BYTES = 32_768;

/**
 * Decides about a program that classifies flows by the model, or says what forbids it.
 * @param records whether flows are to be read out of the table: then they keep packets and beginning
 */
export function planXdpFlow(
  definition: FeatureDefinition,
  model: Model,
  options: XdpOptions = {},
  records = false,
): { readonly plan: XdpFlowPlan | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const { plan: compute, diagnostics } = planXdp(model, options);
  const all = [...diagnostics];
  const place = { file: definition.file };
  const types = definition.state.map(typeOf);
  const bytes = FLOW_PLACES * (types.reduce((sum, t) => sum + BYTES[t], 0) + 96);
  if (bytes > MOST_BUCKET_BYTES)
    all.push(
      diagnostic(
        'flow-state',
        { target: 'xdp', bytes: bytes / FLOW_PLACES, most: MOST_BUCKET_BYTES / FLOW_PLACES },
        place,
      ),
    );
  if (all.length > 0 || compute === undefined) return { plan: undefined, diagnostics: all };
  const plan: XdpFlowPlan = {
    definition,
    compute,
    buckets: definition.table.flows / FLOW_PLACES,
    types,
    keepsPackets: definition.occasion.kind !== 'every-packet' || records,
    keepsBeginning: Number.isFinite(definition.activeTimeout) || records || endsAreTold(definition),
    copies: types.length > MOST_ON_STACK,
  };
  return { plan, diagnostics: all };
}

/** Bytes of what a place keeps. @param words of the key */
export function placeBytes(plan: XdpFlowPlan, words: number): number {
  const widths = plan.types.map(bytesOf).sort((a, b) => b - a);
  let at = 8 * (words + 1) + (plan.keepsBeginning ? 8 : 0) + (plan.keepsPackets ? 8 : 0);
  for (const bytes of widths) at += bytes;
  if (endsAreTold(plan.definition)) at += 1;
  return Math.ceil(at / 8) * 8;
}

/** Whether flows are classified at their ends: their place also says which ends have closed. */
export const endsAreTold = ({ occasion }: FeatureDefinition): boolean => occasion.kind === 'end';

const BYTES: Readonly<Record<CType, number>> = { __u8: 1, __u16: 2, __u32: 4, __u64: 8 };

export const bytesOf = (type: CType): number => BYTES[type];

const typeOf = ({ bits, type }: Scalar): CType => {
  if (type.kind !== 'integer' || bits > 32) return '__u64';
  return bits > 16 ? '__u32' : bits > 8 ? '__u16' : '__u8';
};
