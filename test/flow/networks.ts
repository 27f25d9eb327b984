import type { FeatureDefinition } from '../../src/features/index.ts';
import type { Model } from '../../src/model/model.ts';
import { withVerdict } from '../../src/model/verdict.ts';
import { modelOf } from '../support/models.ts';
import { random } from '../support/random.ts';

/** Two layers of random weights, so that features matter. */
export function networkOf(definition: FeatureDefinition): Model {
  const r = random(definition.features.length);
  const inputs = definition.features.length;
  const matrix = (outputs: number, width: number) =>
    Array.from({ length: outputs }, () => Array.from({ length: width }, () => r.int(-100, 100)));
  const grid = { element: 'uint8', zeroPoint: 0 } as const;
  return withVerdict(
    modelOf({ ...grid, shape: [inputs], scale: 1 }, [
      { kind: 'dense', weights: matrix(8, inputs), weightScale: 1, output: { ...grid, scale: 100 } },
      { kind: 'dense', weights: matrix(5, 8), weightScale: 1, output: { ...grid, scale: 200 } },
    ]),
  );
}
