export { type RangeMethod, rangeMethods } from './grids.ts';
export { type Candidate, type Quantised, type QuantiseSpec, quantise } from './quantise.ts';
export type { Score } from './score.ts';
export { decodeSource } from './source.ts';
