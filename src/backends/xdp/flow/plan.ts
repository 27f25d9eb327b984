import { type Diagnostic, diagnostic } from '../../../diagnostics/index.ts';
import { endsAreTold, type FeatureDefinition, type Scalar } from '../../../features/definition.ts';
import type { Selector } from '../../../features/selector.ts';
import type { Model } from '../../../model/model.ts';
import { planXdp, type XdpOptions, type XdpPlan } from '../plan.ts';

/** A model among several of a host: each has its own program, which hands on what is not its own. */
export interface SetMember {
  /** Packets that the model is for; all that its definition accepts if absent. */
  readonly when: Selector | undefined;
  /** By the model's own numbers of its classes: those among the classes of all models. */
  readonly classes: readonly number[];
  /** Words of eight features that test runs are told, the same of all. */
  readonly featureWords: number;
}

/** What a program is for, beyond classifying what an interface receives. */
export interface FlowRole {
  /** Flows are to be read out of the table: they keep packets and beginning. */
  readonly records?: boolean;
  readonly member?: SetMember;
  /** It has no flows: it classifies packets of which the flow has found no place. */
  readonly perPacket?: boolean;
}

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
  /** Words of eight features that a test run is told. */
  readonly featureWords: number;
  readonly role: FlowRole;
}

type CType = '__u8' | '__u16' | '__u32' | '__u64';

/** Flows that one hash leads to: INTRANSIT_FLOW_PLACES. */
export const FLOW_PLACES = 4;

/** More scalars would not stay in registers and 512 bytes of stack, before and after the packet. */
const MOST_ON_STACK = 12;

/** Bytes of a map's value: the kernel takes what kmalloc gives, and a bucket is one. */
const MOST_BUCKET_BYTES = 32_768;

/**
 * Decides about a program that classifies flows by the model, or says what forbids it.
 */
export function planXdpFlow(
  definition: FeatureDefinition,
  model: Model,
  options: XdpOptions = {},
  role: FlowRole = {},
): { readonly plan: XdpFlowPlan | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const { plan: compute, diagnostics } = planXdp(model, options);
  const { records = false } = role;
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
    role,
    keepsBeginning: Number.isFinite(definition.activeTimeout) || records || endsAreTold(definition),
    copies: types.length > MOST_ON_STACK,
    featureWords: role.member?.featureWords ?? Math.ceil(definition.features.length / 8),
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

const BYTES: Readonly<Record<CType, number>> = { __u8: 1, __u16: 2, __u32: 4, __u64: 8 };

/** Of a type of the flow's map value. */
export const bytesOf = (type: CType): number => BYTES[type];

const typeOf = ({ bits, type }: Scalar): CType => {
  if (type.kind !== 'integer' || bits > 32) return '__u64';
  return bits > 16 ? '__u32' : bits > 8 ? '__u16' : '__u8';
};
