import { refuse } from '../../diagnostics/index.ts';
import type { NodeReader } from './node-reader.ts';
import { DataType, decodeTensor } from './tensor-data.ts';

const MODES = ['BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GTE', 'BRANCH_GT'] as const;

/** A node of a tree as the file has it; `yes` and `no` are places in the list of its tree, whose root is the first. */
export interface EnsembleNode {
  readonly id: number;
  readonly mode: (typeof MODES)[number];
  readonly feature: number;
  readonly value: number;
  readonly yes: number;
  readonly no: number;
  /** Which of the tree's leaves it is, if it is one. */
  readonly leaf?: number;
}

/** What a leaf adds to which score. */
export interface LeafWeight {
  readonly id: number;
  readonly weight: number;
}

/** The trees of a TreeEnsembleClassifier or -Regressor of the domain `ai.onnx.ml`. */
export interface Ensemble {
  readonly trees: readonly (readonly EnsembleNode[])[];
  /** By tree and leaf. */
  readonly leaves: readonly (readonly (readonly LeafWeight[])[])[];
  readonly base: readonly number[];
  /** Whether elements are compared as float32. */
  readonly single: boolean;
}

/** A node by the lists of the file, before it has a place. */
interface Listed {
  readonly tree: number;
  readonly id: number;
  readonly mode: string;
  readonly feature: number;
  readonly value: number;
  readonly yes: number;
  readonly no: number;
}

/**
 * @param of first word of the attributes of the leaves
 * @throws DiagnosticError if lists differ in length, nodes lead to none or in a circle, or splits are of categories
 */
export function readEnsemble(c: NodeReader, of: 'class' | 'target'): Ensemble {
  c.ignore('nodes_hitrates', 'nodes_hitrates_as_tensor');
  const { nodes, single } = listedNodes(c);
  const weights = leafWeights(c, of);
  const trees: EnsembleNode[][] = [];
  const leaves: LeafWeight[][][] = [];
  for (const [tree, list] of groupsOf(nodes)) {
    const own = orderedTree(c, tree, list);
    const rows: LeafWeight[][] = [];
    trees.push(
      own.map((node) => {
        if (node.mode !== 'LEAF') return { ...node, mode: branchMode(c, tree, node) };
        rows.push(weights.get(keyOf(tree, node.id)) ?? []);
        return { ...node, mode: 'BRANCH_LEQ', leaf: rows.length - 1 };
      }),
    );
    leaves.push(rows);
  }
  return { trees, leaves, base: numbers(c, 'base_values').values, single };
}

const keyOf = (tree: number, node: number): string => `${tree} ${node}`;

function malformed(c: NodeReader, reason: string): never {
  return refuse('onnx-malformed', { reason }, c.place());
}

/** Floats, or the tensor that newer operator sets have in their place. */
function numbers(c: NodeReader, name: string): { values: readonly number[]; single: boolean } {
  const tensor = c.tensorAttribute(`${name}_as_tensor`);
  const floats = c.floats(name);
  if (tensor === undefined) return { values: floats ?? [], single: true };
  const { values, dataType } = decodeTensor(tensor, name, c.place());
  return { values: Array.from(values), single: dataType !== DataType.double };
}

function listedNodes(c: NodeReader): { nodes: readonly Listed[]; single: boolean } {
  const list = (name: string): readonly number[] => c.ints(`nodes_${name}`) ?? [];
  const [trees, ids, features] = [list('treeids'), list('nodeids'), list('featureids')];
  const [yes, no] = [list('truenodeids'), list('falsenodeids')];
  const modes = c.strings('nodes_modes') ?? [];
  const { values, single } = numbers(c, 'nodes_values');
  const count = ids.length;
  if (count === 0) malformed(c, 'it has no nodes of trees');
  for (const [name, given] of Object.entries({
    treeids: trees,
    featureids: features,
    truenodeids: yes,
    falsenodeids: no,
    modes,
    values,
  }))
    if (given.length !== count)
      malformed(c, `nodes_${name} has ${given.length} entries, nodes_nodeids ${count}`);
  refuseMissing(c, list('missing_value_tracks_true'));
  const nodes = ids.map((id, i) => ({
    tree: trees[i]!,
    id,
    mode: modes[i]!,
    feature: features[i]!,
    value: single ? Math.fround(values[i]!) : values[i]!,
    yes: yes[i]!,
    no: no[i]!,
  }));
  return { nodes, single };
}

/** Integers are never missing; whoever has other rows must know that it does not matter here. */
function refuseMissing(c: NodeReader, tracks: readonly number[]): void {
  const count = tracks.filter((value) => value !== 0).length;
  if (count > 0 && c.builder.options.missing !== 'never') refuse('forest-missing', { count }, c.place());
}

function branchMode(c: NodeReader, tree: number, { id, mode, value, feature }: Listed): EnsembleNode['mode'] {
  const known = MODES.find((name) => name === mode);
  if (known === undefined) return refuse('forest-mode', { tree, node: id, mode }, c.place());
  if (!Number.isFinite(value)) malformed(c, `node ${id} of tree ${tree} compares with ${value}`);
  if (feature < 0) malformed(c, `node ${id} of tree ${tree} reads feature ${feature}`);
  return known;
}

function groupsOf(nodes: readonly Listed[]): Map<number, Listed[]> {
  const groups = new Map<number, Listed[]>();
  for (const node of nodes) {
    const group = groups.get(node.tree);
    if (group === undefined) groups.set(node.tree, [node]);
    else group.push(node);
  }
  return groups;
}

/** The nodes of a tree from its root on, each child behind its parent, with places for names. */
function orderedTree(c: NodeReader, tree: number, list: readonly Listed[]): Listed[] {
  const byId = new Map(list.map((node) => [node.id, node]));
  if (byId.size !== list.length) malformed(c, `tree ${tree} has two nodes of one id`);
  const inner = list.filter(({ mode }) => mode !== 'LEAF');
  const children = new Set(inner.flatMap(({ yes, no }) => [yes, no]));
  const roots = list.filter(({ id }) => !children.has(id));
  if (roots.length !== 1) malformed(c, `tree ${tree} has ${roots.length} roots`);
  const order = [roots[0]!];
  const places = new Map([[roots[0]!.id, 0]]);
  for (let at = 0; at < order.length; at++) {
    const node = order[at]!;
    if (node.mode === 'LEAF') continue;
    for (const id of [node.yes, node.no]) {
      const child = byId.get(id);
      if (child === undefined)
        malformed(c, `node ${node.id} of tree ${tree} leads to ${id}, which there is not`);
      if (places.has(id)) malformed(c, `node ${id} of tree ${tree} is reached twice`);
      places.set(id, order.push(child!) - 1);
    }
  }
  if (order.length < list.length)
    malformed(c, `${list.length - order.length} nodes of tree ${tree} are not reached from its root`);
  return order.map((node) =>
    node.mode === 'LEAF' ? node : { ...node, yes: places.get(node.yes)!, no: places.get(node.no)! },
  );
}

function leafWeights(c: NodeReader, of: 'class' | 'target'): Map<string, LeafWeight[]> {
  const list = (name: string): readonly number[] => c.ints(`${of}_${name}`) ?? [];
  const [trees, nodes, ids] = [list('treeids'), list('nodeids'), list('ids')];
  const { values, single } = numbers(c, `${of}_weights`);
  for (const given of [trees, nodes, values])
    if (given.length !== ids.length)
      malformed(c, `${of}_ids has ${ids.length} entries, another list ${given.length}`);
  if (ids.length === 0) malformed(c, `no leaf has a weight (${of}_weights)`);
  const weights = new Map<string, LeafWeight[]>();
  for (const [i, id] of ids.entries()) {
    const key = keyOf(trees[i]!, nodes[i]!);
    const weight = { id, weight: single ? Math.fround(values[i]!) : values[i]! };
    const own = weights.get(key);
    if (own === undefined) weights.set(key, [weight]);
    else own.push(weight);
  }
  return weights;
}

/** The label of the only classifier by trees that a graph has: what its other outputs are made of. */
export function labelOf(
  nodes: readonly { readonly opType?: string; readonly output: readonly string[] }[],
): string | undefined {
  const classifiers = nodes.filter(({ opType }) => opType === 'TreeEnsembleClassifier');
  return classifiers.length === 1 ? classifiers[0]!.output.find((name) => name !== '') : undefined;
}
