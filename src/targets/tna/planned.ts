import { z } from 'zod';
import type { ProgramOptions } from '../../backends/common/program-options.ts';
import { type ChipName, chipNames, chips } from '../../backends/tna/chips.ts';
import { HALF, type Pairing, pairings } from '../../backends/tna/layers.ts';
import { planTna, type TnaPlan } from '../../backends/tna/plan.ts';
import { type Diagnostic, diagnostic } from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import { lowerToTables } from '../../passes/tables/lower.ts';
import { DEFAULT_PORT } from '../../wire/header.ts';
import type { Agreement, Approximator } from '../approximation.ts';
import { approximatorOf, calibrationShape, DEFAULT_ENTRIES, partOf } from '../calibration.ts';

/** Bits of exact sums: the widest container. */
export const EXACT_BITS = 32;

/** Levels with which is tried what fits at all. */
const FEW_LEVELS = 4;

/** Entries behind the first layer of the points of the curve. */
const CURVE_ENTRIES = [512, 1024, 2048, 4096, 8192, 16_384, 32_768] as const;

/** Own options of the target. */
export const tnaOwn = z.strictObject({
  chip: z.enum(chipNames).default('tofino2').describe('The chip'),
  ...calibrationShape,
});

/** Own options as they were parsed. */
export type TnaOwn = z.output<typeof tnaOwn>;

/** Layers, version and port, none left open. */
export type Decided = TnaPlan['options'];

/** Puts defaults in where nothing was said. */
export const decide = (model: Model, o: ProgramOptions): Decided => ({
  from: o.from ?? 0,
  to: o.to ?? model.layers.length,
  modelId: o.modelId ?? 1,
  modelVersion: o.modelVersion ?? 1,
  port: o.port ?? DEFAULT_PORT,
});

/** A network laid out over the stages of a chip, or what forbids it. */
export interface PlannedTna {
  readonly plan?: TnaPlan;
  /** Of a network that is approximated. */
  readonly approximation?: Approximation;
  readonly diagnostics: readonly Diagnostic[];
}

/** How near an approximated network is to the exact one. */
export interface Approximation {
  readonly agreement: Agreement;
  readonly curve: () => readonly (Agreement & { readonly entries: number; readonly fits: boolean })[];
}

/** Exact tables; with rows, the best approximation on them that fits. */
export const planNetwork = (model: Model, given: TnaOwn, o: Decided): PlannedTna =>
  given.whole !== undefined
    ? planPart(model, given, o)
    : given.calibrate === undefined
      ? planExact(model, given.chip, o)
      : planApproximated(model, given, given.calibrate, o);

/** Layers of a network that is approximated as a whole. */
function planPart(model: Model, given: TnaOwn, o: Decided): PlannedTna {
  const {
    program,
    agreement,
    diagnostics: read,
  } = partOf(model, { ...o, target: given.chip, bits: EXACT_BITS }, given);
  if (program === undefined || agreement === undefined) return { diagnostics: read };
  const { plan, diagnostics: needs } = planTna(model, chips[given.chip], program, o);
  const told = diagnostic('approximated', { ...agreement, entries: plan.entries }, { file: model.file });
  return { plan, approximation: { agreement, curve: () => [] }, diagnostics: [...read, told, ...needs] };
}

/** Exact tables on a chip: equal to the reference, or refused. */
export function planExact(model: Model, chip: ChipName, o: Decided): PlannedTna {
  const { program, diagnostics } = lowerToTables(model, { ...o, target: chip, bits: EXACT_BITS });
  if (program === undefined) return { diagnostics };
  const { plan, diagnostics: needs } = planTna(model, chips[chip], program, o);
  return { plan, diagnostics: [...diagnostics, ...needs] };
}

/** An approximation that may be taken, and how its activations are to be matched. */
interface Candidate {
  readonly lowered: Lowered;
  readonly pairing?: Pairing;
}

type Lowered = ReturnType<Approximator['uniform']>;

/** The first of the candidates that fits, or the last. */
function planApproximated(model: Model, given: TnaOwn, file: string, o: Decided): PlannedTna {
  const range = { ...o, target: given.chip, bits: EXACT_BITS };
  const { approximator, diagnostics: read } = approximatorOf(model, range, file, given.labels);
  const chip = chips[given.chip];
  let last: PlannedTna | undefined;
  for (const { lowered, pairing } of candidates(approximator, model, given, o)) {
    const { program, diagnostics } = lowered;
    if (program === undefined) return { diagnostics };
    const { plan, diagnostics: needs } = planTna(model, chip, program, o, pairing);
    const agreement = approximator.agreementOf(program);
    const told = diagnostic('approximated', { ...agreement, entries: plan.entries }, { file: model.file });
    const curve = () => curveOf(approximator, plan);
    last = { plan, approximation: { agreement, curve }, diagnostics: [...read, told, ...needs] };
    if (needs.length === 0) return last;
  }
  return last!;
}

/** What is tried, the best first. */
function* candidates(
  approximator: Approximator,
  model: Model,
  given: TnaOwn,
  o: Decided,
): Generator<Candidate> {
  if (given.levels !== undefined) {
    yield { lowered: approximator.uniform(given.levels) };
    return;
  }
  // Whether a pairing fits is first seen with few levels: more of them take no more stages, but more blocks.
  const few = approximator.uniform(FEW_LEVELS);
  if (few.program === undefined) {
    yield { lowered: few };
    return;
  }
  const { program } = few;
  if (program.layers.every((l) => l.trees !== undefined)) {
    // Of trees only scores are approximated: no more than there are containers for.
    yield { lowered: few };
    yield { lowered: approximator.uniform(FEW_LEVELS, HALF) };
    return;
  }
  const all = pairings(program.layers.length, chips[given.chip]);
  const fitting = all.filter(
    (pairing) => planTna(model, chips[given.chip], program, o, pairing).diagnostics.length === 0,
  );
  if (fitting.length === 0) yield { lowered: few };
  for (const entries of given.entries === undefined ? DEFAULT_ENTRIES : [given.entries])
    for (const pairing of fitting)
      yield { lowered: approximator.bySensitivity(entries, pairing.slice(1)), pairing };
}

/** Entries and agreement by the budget of entries, for the drawing: levels by sensitivity, activations matched as in the plan. */
function curveOf(approximator: Approximator, { model, chip, options, pairing }: TnaPlan) {
  return CURVE_ENTRIES.flatMap((entries) => {
    const { program } = approximator.bySensitivity(entries, pairing.slice(1));
    if (program === undefined) return [];
    const { plan, diagnostics } = planTna(model, chip, program, options, pairing);
    return [{ entries: plan.entries, fits: diagnostics.length === 0, ...approximator.agreementOf(program) }];
  });
}
