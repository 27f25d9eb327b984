import { elementCount } from '../../model/tensor.ts';
import { laneNeed, widestLane } from '../../passes/lanes.ts';
import { xdpLimits } from '../../targets/xdp.ts';
import { HEADER_BYTES, OUTER_BYTES } from '../../wire/index.ts';
import type { Need } from '../common/need.ts';
import { bufferBytes, imageShape } from './buffers.ts';
import { programScratchBytes } from './emit.ts';
import type { LayerPlan, MatrixPlan, XdpPlan } from './plan.ts';
import { arrayBytes, weightArrays } from './weights.ts';

/** Verified instructions outside the layers: parser, tables, answer. */
const FIXED_INSTRUCTIONS = 600;

/**
 * Foretells what the program needs, before anything is built. The verifier's work is an upper estimate: it walks every
 * iteration of every loop once, as nothing in the layers branches on data.
 */
export function xdpNeeds(plan: XdpPlan): Need[] {
  const needs: Need[] = [];
  let verified =
    FIXED_INSTRUCTIONS + 3 * elementCount(plan.output.shape) + 9 * elementCount(plan.input.shape);
  for (const p of plan.layers) {
    if (p.kind === 'matrix' && p.lanes) needs.push(laneBitsNeed(p, p.lanes.laneBits));
    verified += verifiedInstructions(p);
  }
  const whole = (resource: string, need: number, limit: number, unit: string, help: string) =>
    needs.push({ resource, need, limit, unit, help });
  whole(
    'verified instructions',
    verified,
    xdpLimits.verifiedInstructions,
    'instructions',
    'split the model with --layers A..B',
  );
  const weights = weightArrays(plan).reduce((sum, a) => sum + arrayBytes(a), 0);
  const split = 'split the model with --layers A..B';
  if (plan.options.weights === 'runtime')
    whole('weights in one map value', weights, xdpLimits.mapValueBytes, 'bytes', split);
  whole('scratch memory', programScratchBytes(plan), xdpLimits.perCpuValueBytes, 'bytes', split);
  const packet =
    OUTER_BYTES -
    14 +
    HEADER_BYTES +
    Math.max(elementCount(plan.input.shape), elementCount(plan.output.shape));
  whole('packet', packet, plan.options.mtu, 'bytes', 'raise --mtu where the path allows it');
  return needs;
}

function laneBitsNeed(p: MatrixPlan, limit: number): Need {
  const { bits } = widestLane(laneNeed(p.layer, p.input), p.lanes!.requantisation);
  return {
    layer: p.layer.name,
    resource: 'lane',
    need: bits,
    limit,
    unit: 'bits',
    help: 'compile with --lanes off',
  };
}

/** Upper estimate of the instructions that the verifier walks for one layer. Constants: read off clang 14's output. */
export function verifiedInstructions(p: LayerPlan): number {
  const [channels, height, width] = imageShape(p.layer.output.shape);
  const positions = height * width;
  if (p.kind === 'matrix') {
    const perTap = p.lanes
      ? p.blocks.reduce((sum, words) => sum + 3 * words + 3, 0)
      : 9 * p.layer.bias.length;
    const requantise =
      p.lanes?.requantisation === 'window' ? 24 * p.lanes.words + 9 * channels : 26 * channels;
    return positions * (p.taps * perTap + requantise + 20);
  }
  switch (p.layer.kind) {
    case 'maxPool':
    case 'averagePool':
      return positions * channels * (10 * p.layer.kernel[0] * p.layer.kernel[1] + 30);
    case 'requantise':
      return 26 * bufferBytes(p.to);
    case 'add':
      return 34 * bufferBytes(p.to);
    case 'argmax':
      return 24 * elementCount(p.inputs[0]!.shape);
  }
}
