import { type Diagnostic, diagnostic } from '../../diagnostics/index.ts';

/** What is needed of a resource, beside what the target has. */
export interface Need {
  /** Undefined for the program as a whole. */
  readonly layer?: string;
  readonly resource: string;
  readonly need: number;
  readonly limit: number;
  readonly unit: string;
  /** What would help where the need is too large. */
  readonly help: string;
  /** The path's matter and not the target's: more than the limit is no refusal of the program. */
  readonly ofPath?: true;
}

/** Needs above the target's limits, as errors. */
export const needDiagnostics = (needs: readonly Need[], target: string, file: string): Diagnostic[] =>
  needs
    .filter((n) => n.need > n.limit && n.ofPath !== true)
    .map(({ layer, ...n }) =>
      diagnostic('resource-exceeded', { ...n, target }, { file, ...(layer !== undefined && { layer }) }),
    );
