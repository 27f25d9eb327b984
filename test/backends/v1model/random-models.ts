import type { Model } from '../../../src/model/model.ts';

/** The first `count` models that the backend is asked to take: some seeds make one that verification refuses. */
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
    done++;
    yield { seed, model };
  }
}
