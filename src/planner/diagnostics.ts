import { type Diagnostic, diagnostic } from '../diagnostics/index.ts';
import type { PlanReport } from './plan.ts';

/** A plan that cannot exist, as errors: which constraint, where, and by how much. */
export function planDiagnostics(report: PlanReport): Diagnostic[] {
  if (report.feasible) return [];
  const { file } = report.topology;
  if (report.notBelow !== undefined) return [diagnostic('plan-not-found', {}, { file })];
  return report.refusals.map((r) =>
    diagnostic(
      'plan-impossible',
      { constraint: r.constraint, message: r.message, lifting: r.lifting },
      { file, ...(r.layer !== undefined && { layer: r.layer }) },
    ),
  );
}
