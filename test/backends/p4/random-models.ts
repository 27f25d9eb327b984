import type { Model } from '../../../src/model/model.ts';

/**
 * The first `count` models that the backend is asked to take: some seeds make one that verification refuses, or whose
 * requantiser has two lines (see `Below`), which v1model refuses as well.
 */
export function* randomModels(
  make: (seed: number) => Model,
  count: number,
): Generator<{ seed: number; model: Model }> {
  for (let seed = 0, done = 0; done < count; seed++) {
    let model: Model;
    try {
      model = make(seed);
    } catch {
      continue;
    }
    if (model.layers.some((layer) => 'requantiser' in layer && layer.requantiser.below !== undefined))
      continue;
    done++;
    yield { seed, model };
  }
}
