import { chips } from '../../backends/tna/chips.ts';
import { planTna } from '../../backends/tna/plan.ts';
import { type Diagnostic, diagnostic, refuse } from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import { entryCount } from '../../passes/tables/approximate.ts';
import type { WholeTables } from '../../passes/tables/slice.ts';
import { calibrationRefusal, partBetween, wholeOf } from '../calibration.ts';
import { workOf } from '../layer-work.ts';
import type { KindProfiles, SegmentNeed, SegmentProfile } from '../profiles.ts';
import { decide, EXACT_BITS, type PlannedTna, planExact, type TnaOwn } from './planned.ts';

/** A segment as the planner asks for it, and whether a chip holds it. */
interface Held {
  readonly profile: SegmentProfile;
  readonly fits: boolean;
  readonly reasons: readonly string[];
  /** Whether a part may begin and end there: one that may not says nothing of longer ones. */
  readonly isPart: boolean;
}

/**
 * What a chip makes of every segment: its part of a network that is approximated as a whole (`whole`), or exact tables. Where a part of
 * a segment does not fit, neither does the segment: it is not laid out, and its needs are the least that they can be.
 * @throws DiagnosticError where options do not go together, or rows or labels cannot be read
 */
export function tnaProfiles(model: Model, cuts: readonly number[], own: TnaOwn): KindProfiles {
  const wrong = calibrationRefusal(own);
  if (wrong !== undefined) refuse('target-option', { target: 'tna', ...wrong }, { file: model.file });
  const source = own.whole === undefined ? exactSource(model, own) : wholeSource(model, own);
  const known = new Map<string, Held>();
  const of = (from: number, to: number): Held => {
    const key = `${from} ${to}`;
    const held = known.get(key) ?? make(from, to);
    known.set(key, held);
    return held;
  };
  const make = (from: number, to: number): Held => {
    const work = workOf(model, cuts[from]!, cuts[to]!);
    const parts =
      to - from > 1 ? [of(from, to - 1), of(from + 1, to)].filter((part) => part.isPart && !part.fits) : [];
    if (parts.length > 0) return joined(work, parts);
    const { plan, diagnostics } = source.segment(cuts[from]!, cuts[to]!);
    const reasons = diagnostics.filter((d) => d.severity === 'error').map((d) => d.message);
    const stages = plan === undefined ? 0 : plan.schedule.stages.ingress + plan.schedule.stages.egress;
    const needs = plan?.needs.map(({ help: _, ...need }) => need) ?? [];
    return {
      profile: { work: { ...work, stages }, needs, unsupported: plan === undefined ? reasons : [] },
      fits: reasons.length === 0,
      reasons,
      isPart: diagnostics.every((d) => d.code !== 'tables-cut'),
    };
  };
  return {
    profile: (from, to) => of(from, to).profile,
    confirm: (from, to) => of(from, to).reasons,
    remarks: source.remarks,
  };
}

/** A segment of which these parts do not fit: it needs what each of them needs, and more. */
function joined(work: SegmentProfile['work'], parts: readonly Held[]): Held {
  const needs = new Map<string, SegmentNeed>();
  for (const need of parts.flatMap((p) => p.profile.needs))
    if (need.need > (needs.get(need.resource)?.need ?? -1)) needs.set(need.resource, need);
  const unsupported = [...new Set(parts.flatMap((p) => p.profile.unsupported))];
  const reasons = [...new Set(parts.flatMap((p) => p.reasons))];
  return { profile: { work, needs: [...needs.values()], unsupported }, fits: false, reasons, isPart: true };
}

/** Where segments come from. */
interface Source {
  segment(from: number, to: number): PlannedTna;
  readonly remarks: readonly Diagnostic[];
}

const exactSource = (model: Model, own: TnaOwn): Source => ({
  segment: (from, to) => planExact(model, own.chip, decide(model, { from, to })),
  remarks: [],
});

function wholeSource(model: Model, own: TnaOwn): Source {
  const { approximator, lowered, diagnostics } = wholeOf(model, own.chip, EXACT_BITS, own);
  const { program, values } = lowered;
  if (program === undefined || values === undefined)
    return { segment: () => ({ diagnostics: lowered.diagnostics }), remarks: diagnostics };
  const whole: WholeTables = { program, values };
  const told = { ...approximator.agreementOf(program), entries: entryCount(program) };
  return {
    segment(from, to) {
      const part = partBetween(whole, model, from, to);
      if ('code' in part) return { diagnostics: [part] };
      return planTna(model, chips[own.chip], part, decide(model, { from, to }));
    },
    remarks: [...diagnostics, diagnostic('approximated', told, { file: model.file })],
  };
}
