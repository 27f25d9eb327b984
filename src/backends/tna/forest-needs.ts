import type { ForestLayer } from '../../model/model.ts';
import { treeNodes } from '../../model/trees.ts';
import type { Need } from '../common/need.ts';
import { type Chip, stageLimits, TCAM_BITS, TCAM_ROWS } from './chips.ts';

/** Versions of the entries side by side. */
const VERSIONS = 2;

const HELP = 'fewer or shallower trees, or --target v1model or xdp, which have forests';

/**
 * What the trees would take: a table a feature tells, a bit a split, on which side of each threshold it is; a ternary table a
 * tree matches those of its splits, an entry a leaf.
 */
export function forestNeeds(layer: ForestLayer, chip: Chip): Need[] {
  let [bits, blocks] = [0, 0];
  for (const root of layer.roots) {
    const nodes = treeNodes(layer, root);
    const splits = nodes.filter((node) => layer.nodes.feature[node]! >= 0);
    // Splits of one feature at one threshold are one bit.
    const own = new Set(splits.map((node) => `${layer.nodes.feature[node]} ${layer.nodes.threshold[node]}`))
      .size;
    const leaves = nodes.length - splits.length;
    bits += own;
    blocks += Math.ceil((leaves * VERSIONS) / TCAM_ROWS) * Math.ceil((own + 1) / TCAM_BITS);
  }
  return [
    { resource: 'containers', need: bits, limit: chip.phvBits, unit: 'bits', help: HELP },
    { resource: 'TCAM', need: blocks, limit: stageLimits.tcam * chip.stages, unit: 'blocks', help: HELP },
  ];
}
