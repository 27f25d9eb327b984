import { entry } from './entry.ts';

/** Plans of layers over nodes. */
export const plansMessages = {
  'plan-impossible': entry<{ constraint: string; message: string; lifting: 'alone' | 'together' }>(
    'error',
    (a) => `no plan exists: ${a.message} (${a.constraint})`,
    (a) =>
      a.lifting === 'alone'
        ? 'without this constraint there would be a plan'
        : 'this and the other constraints named would have to go together',
  ),
  'plan-not-found': entry(
    'error',
    () => 'the search was given up before it found a plan; there may be one',
    () => 'allow fewer nodes, or give those that are short of memory or layers more',
  ),
};
