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
}

/** Needs above their limits, as errors. */
export const needDiagnostics = (needs: readonly Need[], target: string, file: string): Diagnostic[] =>
  needs
    .filter((n) => n.need > n.limit)
    .map(({ layer, ...n }) =>
      diagnostic('resource-exceeded', { ...n, target }, { file, ...(layer !== undefined && { layer }) }),
    );
