import { type Diagnostic, diagnostic } from '../../../diagnostics/index.ts';
import { endsAreTold, type FeatureDefinition, type Scalar } from '../../../features/definition.ts';
import type { Model } from '../../../model/model.ts';
import { FLOW_SLOTS } from '../../common/flow/tables.ts';
import { v1model } from '../limits.ts';
import { planV1model, type V1modelOptions, type V1modelPlan } from '../plan.ts';

/** A number in a place, by its lowest bit. */
export interface PlaceField {
  readonly low: number;
  readonly width: number;
}

/** A program of flow mode for v1model. */
export interface V1modelFlowPlan {
  readonly definition: FeatureDefinition;
  /** The layers; the model reads the features and ends in a verdict. */
  readonly compute: V1modelPlan;
  /** Buckets of two flows each. */
  readonly buckets: number;
  /** Bits of the key. */
  readonly keyBits: number;
  /** Whether a larger model is asked, by cloned packets. */
  readonly asks: boolean;
  readonly place: {
    readonly width: number;
    /** The key, and above it whether there is a flow. */
    readonly match: PlaceField;
    readonly seen: PlaceField;
    readonly begun: PlaceField;
    readonly packets: PlaceField;
    readonly swapped: PlaceField;
    /** Class, margin, and whether there is a verdict. */
    readonly verdict: PlaceField;
    /** Above it: whether a larger model was asked (1), and has answered (2). */
    readonly larger: PlaceField | undefined;
    /** Which ends have sent all; only where flows are classified at their ends. */
    readonly finished: PlaceField | undefined;
    readonly state: readonly PlaceField[];
  };
}

/** How the layers are made, and whether a larger model may be asked; not by default. */
export interface FlowPlanOptions extends Omit<V1modelOptions, 'slots'> {
  readonly asks?: boolean;
}

/** Flows that one hash leads to. */
const PLACES = 2;
/** Bits of `ingress_global_timestamp`. */
export const TIME_BITS = 48;
/** The deepest places: outcome of packets, class and margin. */
export const VERDICT_BITS = 17;

const KEY_BITS = {
  'ip.source': 128,
  'ip.destination': 128,
  'port.source': 16,
  'port.destination': 16,
  'ip.protocol': 8,
  'ip.dscp': 6,
  'vlan.id': 12,
} as const;

/** Bits of a field of a key; addresses have 32 where there is only IPv4. */
export const keyFieldBits = (d: FeatureDefinition, field: keyof typeof KEY_BITS): number =>
  KEY_BITS[field] === 128 && !d.ipVersions.includes(6) ? 32 : KEY_BITS[field];

/** Decides about a program that classifies flows by the model, or says what forbids it. */
export function planV1modelFlow(
  definition: FeatureDefinition,
  model: Model,
  options: FlowPlanOptions = {},
): { readonly plan: V1modelFlowPlan | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const { plan: compute, diagnostics } = planV1model(model, { ...options, slots: FLOW_SLOTS });
  const all = [...diagnostics.filter((d) => d.severity === 'error')];
  const refuse = (what: string, why: string) =>
    all.push(diagnostic('flow-target', { target: 'v1model', what, why }, { file: definition.file }));
  if (definition.clockNs !== 1000) refuse('clock: ns', 'a BMv2 switch counts microseconds');
  if (readsPayload(definition)) refuse('payload bytes', 'a switch parses headers alone');
  const { asks = false } = options;
  if (asks && endsAreTold(definition))
    refuse('classify: end', 'a switch asks a larger model about flows that live on');
  const both = definition.ipVersions.length > 1 ? 1 : 0;
  const keyBits = definition.key.fields.reduce((sum, f) => sum + keyFieldBits(definition, f), both);
  const place = layOut(definition, keyBits, asks);
  if (place.width * PLACES > v1model.maxWidthBits)
    all.push(
      diagnostic(
        'flow-state',
        { target: 'v1model', bytes: place.width / 8, most: v1model.maxWidthBits / PLACES / 8 },
        { file: definition.file },
      ),
    );
  if (all.length > 0 || compute === undefined) return { plan: undefined, diagnostics: all };
  return {
    plan: { definition, compute, buckets: definition.table.flows / PLACES, keyBits, asks, place },
    diagnostics: all,
  };
}

function layOut(definition: FeatureDefinition, keyBits: number, asks: boolean): V1modelFlowPlan['place'] {
  let at = 0;
  const field = (width: number): PlaceField => {
    const low = at;
    at += width;
    return { low, width };
  };
  const fields = {
    match: field(keyBits + 1),
    seen: field(TIME_BITS),
    begun: field(TIME_BITS),
    packets: field(32),
    swapped: field(1),
    verdict: field(VERDICT_BITS),
    larger: asks ? field(2) : undefined,
    finished: endsAreTold(definition) ? field(2) : undefined,
    state: definition.state.map((s) => field(widthOf(s))),
  };
  return { ...fields, width: at };
}

/** Bits that the scalar takes in the place of a flow: instants and durations have the switch's 48. */
export const widthOf = (s: Scalar): number => (s.type.kind === 'integer' ? s.bits : TIME_BITS);

const readsPayload = (d: FeatureDefinition): boolean =>
  JSON.stringify([d.state.map((s) => [s.initial, s.update]), d.features.map((f) => f.value)]).includes(
    '"payload.byte',
  );
