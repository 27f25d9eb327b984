import { z } from 'zod';
import { DiagnosticError, refuse } from '../diagnostics/index.ts';
import { readText } from '../files.ts';
import { expectation, parseJson } from '../import/json/parse.ts';
import { deploymentFault } from './faults.ts';

/** Layers from `from` to before `to`. */
export interface LayerRange {
  readonly from: number;
  readonly to: number;
}

/** What a plan says of the layers: who computes them, and of what kind it is. */
export interface PlannedLayers {
  readonly file: string;
  /** Names of the model's layers. */
  readonly layers: readonly string[];
  readonly segments: readonly (LayerRange & { readonly node: string; readonly kind: string })[];
}

/** Only what is read here of the document of `plan --json`; the rest may be anything. */
const planSchema = z.object({
  format: z.literal('intransit-plan', { error: "expected 'intransit-plan': what plan --json prints" }),
  feasible: z.literal(true, { error: 'expected a plan that is feasible' }),
  model: z.object({ layers: z.array(z.string()) }),
  steps: z.array(
    z.union([
      z.object({
        step: z.literal('compute'),
        node: z.string(),
        kind: z.string(),
        layers: z.object({ from: z.int(), to: z.int() }),
        replicas: z.array(z.object({ node: z.string(), kind: z.string() })).optional(),
      }),
      z.object({ step: z.literal('cross') }),
    ]),
  ),
});

/** @throws DiagnosticError */
export function readPlannedLayers(file: string): PlannedLayers {
  const result = planSchema.safeParse(parseJson(readText(file), file));
  if (!result.success)
    throw new DiagnosticError(result.error.issues.map((i) => deploymentFault(file, i.path, expectation(i))));
  const { model, steps } = result.data;
  const segments = steps.flatMap((s) => {
    if (s.step !== 'compute') return [];
    return (s.replicas ?? [s]).map(({ node, kind }) => ({ node, kind, ...s.layers }));
  });
  const twice = segments.find((s, i) => segments.findIndex((other) => other.node === s.node) < i);
  if (twice !== undefined)
    refuse(
      'json-field',
      {
        path: 'steps',
        expected: `one segment a node, but ${twice.node} has two: a program holds one range of layers`,
        help: 'plan with fewer layers on that node, or name the layers of the device in the deployment',
      },
      { file },
    );
  return { file, layers: model.layers, segments };
}
