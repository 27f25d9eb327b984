import { expect, it } from 'vitest';
import type { XdpOptions } from '../../../src/backends/xdp/plan.ts';
import { describeWith, loading } from '../../support/machine.ts';
import { randomCnn, randomJoined, randomMixed, randomMlp, rowsOf } from '../../support/models.ts';
import { random } from '../../support/random.ts';
import { type Comparison, compareXdp, inParallel } from '../../support/xdp.ts';

/** Rows of each model; every third is of extremes. */
const ROWS = 15;

/** At most so many times the instructions that the verifier walks may be foretold. */
const GENEROUS = 3;

interface Job {
  readonly make: typeof randomMlp;
  readonly seed: number;
  readonly options: XdpOptions;
}

const jobs = (make: Job['make'], from: number, count: number, options: XdpOptions): Job[] =>
  Array.from({ length: count }, (_, i) => ({ make, seed: from + i, options }));

async function run({ make, seed, options }: Job): Promise<Comparison & { readonly name: string }> {
  const model = make(seed);
  const rows = rowsOf(random(seed ^ 0x5eed), model, ROWS);
  return { name: `${model.name} ${JSON.stringify(options)}`, ...(await compareXdp(model, options, rows)) };
}

async function agree(all: readonly Job[]): Promise<void> {
  const results = await inParallel(all, 2, run);
  expect(results.filter((r) => r.mismatches > 0)).toEqual([]);
  expect(results.filter((r) => r.verified > r.foretold).map(factors)).toEqual([]);
  // Constants fold: what is left of dead channels cannot be foretold.
  const folded = ({ name }: { readonly name: string }) => name.includes('static');
  expect(results.filter((r) => !folded(r) && r.foretold > GENEROUS * r.verified).map(factors)).toEqual([]);
}

const factors = (r: Comparison & { readonly name: string }) => [r.name, r.foretold, r.verified];

/** Compilers on a machine that others use as well. */
const PATIENT = 400_000;

describeWith(loading, 'random models in the kernel give the integers of the reference', () => {
  it('200 of 1-4 dense layers of 1-128 neurons', () => agree(jobs(randomMlp, 0, 200, {})), PATIENT);

  it(
    'others with one multiply a weight, or constants',
    () =>
      agree([
        ...jobs(randomMlp, 200, 10, { lanes: 'off' }),
        ...jobs(randomMlp, 220, 8, { weights: 'static' }),
        ...jobs(randomMlp, 240, 4, { lanes: 'off', weights: 'static' }),
      ]),
    PATIENT,
  );

  /** What makes models, for packets of how many bytes, and how many: of lanes, of one multiply a weight, of constants. */
  const others: Readonly<Record<string, readonly [typeof randomCnn, number, number, number, number]>> = {
    'small image networks: windows, pools, residual sums, requantisation, verdicts': [
      randomCnn,
      4000,
      36,
      6,
      4,
    ],
    'groups, tables, pads, transpositions, embeddings, divisors by position': [randomMixed, 9000, 60, 8, 8],
    'products, parts put together, softmax rows, tables by channel, windows with taps apart': [
      randomJoined,
      9000,
      14,
      3,
      3,
    ],
  };
  it.each(Object.entries(others))(
    '%s',
    (_title, [make, mtu, packed, single, fixed]) =>
      agree([
        ...jobs(make, 0, packed, { mtu }),
        ...jobs(make, 100, single, { mtu, lanes: 'off' }),
        ...jobs(make, 110, fixed, { mtu, weights: 'static' }),
      ]),
    PATIENT,
  );
});
