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

/** Codes of `nodes_modes` in the operator that has all kinds of trees. */
const MODE_CODES = [...MODES, 'BRANCH_EQ', 'BRANCH_NEQ', 'BRANCH_MEMBER'] as const;

/** An operator that has all kinds of trees: what its leaves add up to, and how. */
export interface GeneralEnsemble extends Ensemble {
  readonly targets: number;
  readonly average: boolean;
}

/**
 * The trees of a TreeEnsemble, which the operator sets of `ai.onnx.ml` have since 5. Its children are places among the nodes, or
 * among the leaves.
 * @throws DiagnosticError as `readEnsemble` does, or if it takes the least or the greatest, or transforms the sums
 */
export function readGeneralEnsemble(c: NodeReader): GeneralEnsemble {
  c.ignore('nodes_hitrates');
  const post = c.int('post_transform', 0);
  if (post !== 0) c.refuseAttribute('post_transform', `${post}`, '0 (NONE)');
  const aggregate = c.int('aggregate_function', 1);
  if (aggregate !== 0 && aggregate !== 1)
    c.refuseAttribute('aggregate_function', `${aggregate}`, '0 (AVERAGE) or 1 (SUM)');
  const file = generalLists(c);
  const roots = c.ints('tree_roots') ?? [];
  if (roots.length === 0) malformed(c, 'it has no roots of trees');
  const trees: EnsembleNode[][] = [];
  const leaves: LeafWeight[][][] = [];
  for (const [t, root] of roots.entries()) {
    const { nodes, rows } = generalTree(c, t, root, file);
    trees.push(nodes);
    leaves.push(rows);
  }
  const targets = c.int('n_targets', 1);
  return { trees, leaves, base: [], single: file.single, targets, average: aggregate === 0 };
}

/** The lists of the file, all of one length but those of leaves. */
interface GeneralLists {
  readonly modes: readonly number[];
  readonly splits: readonly number[];
  readonly features: readonly number[];
  readonly yes: readonly number[];
  readonly no: readonly number[];
  readonly yesIsLeaf: readonly number[];
  readonly noIsLeaf: readonly number[];
  readonly leafTargets: readonly number[];
  readonly leafWeights: readonly number[];
  readonly single: boolean;
}

function generalLists(c: NodeReader): GeneralLists {
  const list = (name: string): readonly number[] => c.ints(name) ?? [];
  const tensor = (name: string) => {
    const given = c.tensorAttribute(name);
    if (given === undefined) malformed(c, `it has no ${name}`);
    return decodeTensor(given!, name, c.place());
  };
  const [splits, weights] = [tensor('nodes_splits'), tensor('leaf_weights')];
  const file = {
    modes: Array.from(tensor('nodes_modes').values),
    splits: Array.from(splits.values),
    features: list('nodes_featureids'),
    yes: list('nodes_truenodeids'),
    no: list('nodes_falsenodeids'),
    yesIsLeaf: list('nodes_trueleafs'),
    noIsLeaf: list('nodes_falseleafs'),
  };
  for (const [name, given] of Object.entries(file))
    if (given.length !== file.modes.length)
      malformed(c, `${name} has ${given.length} entries, nodes_modes ${file.modes.length}`);
  const leafTargets = list('leaf_targetids');
  const leafWeights = Array.from(weights.values);
  if (leafTargets.length !== leafWeights.length)
    malformed(c, `leaf_targetids has ${leafTargets.length} entries, leaf_weights ${leafWeights.length}`);
  refuseMissing(c, list('nodes_missing_value_tracks_true'));
  return { ...file, leafTargets, leafWeights, single: splits.dataType !== DataType.double };
}

/** One tree from its root on, a child later than its parent. */
function generalTree(
  c: NodeReader,
  tree: number,
  root: number,
  file: GeneralLists,
): { nodes: EnsembleNode[]; rows: LeafWeight[][] } {
  const nodes: EnsembleNode[] = [];
  const rows: LeafWeight[][] = [];
  const seen = new Set<number>();
  // Places are given when a child is put here: the root has the first.
  const open: { readonly at: number; readonly isLeaf: boolean }[] = [{ at: root, isLeaf: false }];
  for (let place = 0; place < open.length; place++) {
    const { at, isLeaf } = open[place]!;
    if (isLeaf) {
      const weight = file.leafWeights[at];
      if (weight === undefined)
        return malformed(c, `tree ${tree} leads to leaf ${at} of ${file.leafWeights.length}`);
      nodes.push({ id: at, mode: 'BRANCH_LEQ', feature: 0, value: 0, yes: 0, no: 0, leaf: rows.length });
      rows.push([{ id: file.leafTargets[at]!, weight }]);
      continue;
    }
    if (seen.has(at)) malformed(c, `node ${at} of tree ${tree} is reached twice`);
    seen.add(at);
    const code = file.modes[at];
    if (code === undefined) return malformed(c, `tree ${tree} leads to node ${at} of ${file.modes.length}`);
    const value = file.splits[at]!;
    const split = { tree, id: at, mode: MODE_CODES[code] ?? `${code}`, feature: file.features[at]!, value };
    const child = (to: number, leaf: number) => open.push({ at: to, isLeaf: leaf !== 0 }) - 1;
    const yes = child(file.yes[at]!, file.yesIsLeaf[at]!);
    const no = child(file.no[at]!, file.noIsLeaf[at]!);
    nodes.push({ ...split, mode: branchMode(c, tree, { ...split, yes, no }), yes, no });
  }
  return { nodes, rows };
}

/** The label of the only classifier by trees that a graph has: what its other outputs are made of. */
export function labelOf(
  nodes: readonly { readonly opType?: string; readonly output: readonly string[] }[],
): string | undefined {
  const classifiers = nodes.filter(({ opType }) => opType === 'TreeEnsembleClassifier');
  return classifiers.length === 1 ? classifiers[0]!.output.find((name) => name !== '') : undefined;
}
