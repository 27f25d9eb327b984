import { z } from 'zod';
import type { ProgramOptions } from '../../backends/common/program-options.ts';
import type { V1modelOptions } from '../../backends/v1model/plan.ts';
import { type Diagnostic, diagnostic } from '../../diagnostics/index.ts';
import { layerRangeRefusals } from '../../model/layer-count.ts';
import type { Model } from '../../model/model.ts';
import { entryCount } from '../../passes/tables/approximate.ts';
import type { TableOptions } from '../../passes/tables/lower.ts';
import {
  approximatorOf,
  type Calibrated,
  calibrationRefusal,
  calibrationShape,
  levelsOf,
  type Part,
  partOf,
} from '../calibration.ts';

/** Own options of the target. */
export const v1modelOwn = z.strictObject({
  ...calibrationShape,
  lowering: z
    .enum(['lanes', 'tables'])
    .default('lanes')
    .describe('Multiply wide words, or look activations up as hardware without a multiplier does'),
});

/** Own options as they were parsed. */
type V1modelOwn = z.output<typeof v1modelOwn>;

/** With rows: the tables of the approximated network, instead of the exact ones. */
export function tablesOf(
  model: Model,
  options: ProgramOptions,
  { lowering, ...given }: V1modelOwn,
): {
  readonly options: Pick<V1modelOptions, 'lowering' | 'tables'>;
  readonly diagnostics: readonly Diagnostic[];
  readonly refused: boolean;
} {
  const refused = (diagnostics: readonly Diagnostic[]) => ({
    options: { lowering },
    diagnostics,
    refused: true,
  });
  const place = { file: model.file };
  const wrong =
    (given.calibrate ?? given.whole) !== undefined && lowering !== 'tables'
      ? {
          option: given.whole === undefined ? '--calibrate' : '--whole',
          reason: 'levels are those of look-ups: --lowering tables',
        }
      : calibrationRefusal(given);
  if (wrong !== undefined)
    return refused([diagnostic('target-option', { target: 'v1model', ...wrong }, place)]);
  if (given.calibrate === undefined && given.whole === undefined)
    return { options: { lowering }, diagnostics: [], refused: false };
  const [from, to] = [options.from ?? 0, options.to ?? model.layers.length];
  const noRange = layerRangeRefusals(model, from, to);
  if (noRange.length > 0) return refused(noRange);
  const range = { from, to, target: 'v1model by tables', bits: WORD_BITS };
  const { program, agreement, diagnostics } =
    given.whole === undefined ? ownPart(model, range, given) : partOf(model, range, given);
  if (program === undefined || agreement === undefined) return refused(diagnostics);
  const told = diagnostic('approximated', { ...agreement, entries: entryCount(program) }, place);
  return {
    options: { lowering, tables: program },
    diagnostics: [...diagnostics, told],
    refused: false,
  };
}

/** Levels for these layers alone. @throws DiagnosticError where rows or labels cannot be read */
function ownPart(model: Model, range: TableOptions, given: Calibrated): Part {
  const { approximator, diagnostics } = approximatorOf(model, range, given.calibrate!, given.labels);
  const { program, diagnostics: refused } = levelsOf(approximator, given);
  if (program === undefined) return { diagnostics: refused };
  return { program, agreement: approximator.agreementOf(program), diagnostics };
}

/** Bits of a word of hardware, whose sums the switch computes. */
const WORD_BITS = 32;
