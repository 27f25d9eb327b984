import type { ForestLayer } from './layers.ts';
import { elementCount, formatTensorType } from './tensor.ts';
import { largestScores } from './trees.ts';
import { type Report, verifyLength } from './verify-report.ts';

/** Most bits of a score: with an index of eight bits below it is still a number of 62. */
export const SCORE_BITS = 52;

/** Nodes and leaves of a forest over so many features. */
export function verifyTrees(layer: ForestLayer, features: number, report: Report): void {
  const { nodes, base, result, output } = layer;
  for (const part of ['threshold', 'low', 'high'] as const)
    verifyLength(report, part, nodes[part].length, nodes.feature.length);
  const fault = nodeFault(layer, features);
  if (fault !== undefined) report(fault);
  if (result === 'sums') {
    if (elementCount(output.shape) !== base.length)
      report(`${base.length} scores as ${formatTensorType(output)}`);
  } else {
    if (output.element !== 'uint8' || elementCount(output.shape) !== 2)
      report(`the output is ${formatTensorType(output)}, not uint8[2]`);
    if (base.length > 256) report('more than 256 classes do not fit in a byte');
  }
}

/** What is wrong with the first node at fault: it leads to no later node, or not just one leads to it. */
function nodeFault({ nodes, roots, scores, base }: ForestLayer, features: number): string | undefined {
  if (base.length === 0 || scores.length % base.length !== 0)
    return `${scores.length} scores are no rows of ${base.length}`;
  const rows = scores.length / base.length;
  const count = nodes.feature.length;
  if (roots.length === 0 || roots.some((root) => root < 0 || root >= count))
    return `a root is outside of the ${count} nodes`;
  const parents = new Uint8Array(count);
  for (const root of roots) parents[root]!++;
  for (let n = 0; n < count; n++) {
    const [feature, low, high] = [nodes.feature[n]!, nodes.low[n]!, nodes.high[n]!];
    if (feature >= features) return `node ${n} asks for feature ${feature} of ${features}`;
    const isSound =
      feature < 0 ? low >= 0 && low < rows : [low, high].every((child) => child > n && child < count);
    if (!isSound) return `node ${n} leads to ${low} and ${high}`;
    if (feature >= 0) for (const child of [low, high]) parents[child]!++;
    if (parents[n] !== 1) return `node ${n} is reached from ${parents[n]} places`;
  }
  return undefined;
}

/** Whole numbers, and none that a double does not hold, whichever leaves add up. */
export function verifyScores(layer: ForestLayer, _: unknown, report: Report): void {
  const { scores, base, shift, result } = layer;
  if (scores.some((score) => !Number.isSafeInteger(score) || score < 0))
    report('a score of a leaf is no whole number from 0 on');
  if (base.some((value) => !Number.isSafeInteger(value) || (result === 'verdict' && value < 0)))
    report('a base is no whole number from 0 on');
  if (!Number.isInteger(shift) || shift < 0 || shift >= SCORE_BITS) report(`a shift by ${shift}`);
  if (Math.max(...largestScores(layer), ...base.map(Math.abs)) >= 2 ** SCORE_BITS)
    report(`scores add up to more than ${SCORE_BITS} bits`);
}
