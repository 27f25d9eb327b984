import { type AttributeValue, writeOnnx } from '../import/onnx-writer.ts';
import type { Random } from './random.ts';

/** Random forests as files of ONNX, written as programs that export trees write them. */

export interface ForestSpec {
  readonly features: number;
  readonly trees: number;
  readonly depth: number;
  /** Of a classifier; targets of a regressor. */
  readonly scores: number;
  /** Scores that a leaf has: of all, of one that all leaves of its tree share, or just of the first or second. */
  readonly leaves: 'all' | 'one' | 'first' | 'second';
  readonly signed?: boolean;
  readonly base?: readonly number[];
  readonly labels?: readonly string[];
  readonly inputType?: 'float' | 'int64';
  readonly operator?: 'TreeEnsembleClassifier' | 'TreeEnsembleRegressor';
  /** Attributes beside those of nodes and leaves, or in their place. */
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
}

const MODES = ['BRANCH_LEQ', 'BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GT', 'BRANCH_GTE'] as const;

interface Lists {
  readonly ints: Record<'treeids' | 'nodeids' | 'featureids' | 'truenodeids' | 'falsenodeids', number[]>;
  readonly modes: string[];
  readonly values: number[];
  readonly leaf: Record<'treeids' | 'nodeids' | 'ids', number[]>;
  readonly weights: number[];
}

function grow(r: Random, spec: ForestSpec, lists: Lists, tree: number): void {
  let count = 0;
  const plant = (depth: number): number => {
    const id = count++;
    const isLeaf = depth === spec.depth || (depth > 0 && r.chance(0.15));
    const at = lists.modes.length;
    lists.ints.treeids.push(tree);
    lists.ints.nodeids.push(id);
    lists.ints.featureids.push(isLeaf ? 0 : r.int(0, spec.features - 1));
    lists.modes.push(isLeaf ? 'LEAF' : r.pick(MODES));
    lists.values.push(isLeaf ? 0 : r.int(1, 254) + r.pick([0, 0.5]));
    lists.ints.truenodeids.push(0);
    lists.ints.falsenodeids.push(0);
    if (isLeaf) {
      const scores =
        spec.leaves === 'all'
          ? Array.from({ length: spec.scores }, (_, s) => s)
          : [{ one: tree % spec.scores, first: 0, second: 1 }[spec.leaves]];
      for (const score of scores) {
        lists.leaf.treeids.push(tree);
        lists.leaf.nodeids.push(id);
        lists.leaf.ids.push(score);
        lists.weights.push(Math.fround((spec.signed ? r.next() - 0.5 : r.next()) / spec.trees));
      }
    } else {
      lists.ints.truenodeids[at] = plant(depth + 1);
      lists.ints.falsenodeids[at] = plant(depth + 1);
    }
    return id;
  };
  plant(0);
}

/** The bytes of a model file of one operator; its input is `x`, its outputs `label` and `scores`, or `scores` alone. */
export function forestOnnx(r: Random, spec: ForestSpec): Uint8Array {
  const lists: Lists = {
    ints: { treeids: [], nodeids: [], featureids: [], truenodeids: [], falsenodeids: [] },
    modes: [],
    values: [],
    leaf: { treeids: [], nodeids: [], ids: [] },
    weights: [],
  };
  for (let tree = 0; tree < spec.trees; tree++) grow(r, spec, lists, tree);
  const { operator = 'TreeEnsembleClassifier' } = spec;
  const isClassifier = operator === 'TreeEnsembleClassifier';
  const of = isClassifier ? 'class' : 'target';
  const renamed = (prefix: string, all: Readonly<Record<string, number[]>>) =>
    Object.fromEntries(Object.entries(all).map(([name, list]) => [`${prefix}_${name}`, list]));
  const labels: Record<string, AttributeValue> =
    spec.labels === undefined
      ? { classlabels_int64s: Array.from({ length: spec.scores }, (_, s) => s) }
      : { classlabels_strings: { strings: spec.labels } };
  const attributes: Record<string, AttributeValue> = {
    ...renamed('nodes', lists.ints),
    nodes_modes: { strings: lists.modes },
    nodes_values: { floats: lists.values },
    ...renamed(of, lists.leaf),
    [`${of}_weights`]: { floats: lists.weights },
    ...(spec.base && { base_values: { floats: spec.base } }),
    ...(isClassifier ? labels : { n_targets: spec.scores }),
    ...spec.attributes,
  };
  const node = { op: operator, in: ['x'], domain: 'ai.onnx.ml', attributes };
  const input = { type: spec.inputType ?? 'float', dims: ['N', spec.features] } as const;
  return isClassifier
    ? writeOnnx({
        nodes: [{ ...node, out: 'label', more: ['scores'] }],
        input,
        outputType: spec.labels === undefined ? 'int64' : 'string',
        second: 'scores',
      })
    : writeOnnx({ nodes: [{ ...node, out: 'scores' }], input, outputType: 'float' });
}

const CODES = ['BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GTE', 'BRANCH_GT'] as const;

export interface GeneralForestSpec extends Pick<ForestSpec, 'features' | 'trees' | 'depth'> {
  readonly targets: number;
  readonly attributes?: ForestSpec['attributes'];
}

/** The same as a `TreeEnsemble`, which newer files have: nodes and leaves in lists of their own, children by their places. */
export function generalForestOnnx(r: Random, spec: GeneralForestSpec): Uint8Array {
  const names = [
    'nodes_featureids',
    'nodes_truenodeids',
    'nodes_falsenodeids',
    'nodes_trueleafs',
    'nodes_falseleafs',
  ] as const;
  const lists = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<
    (typeof names)[number],
    number[]
  >;
  const [modes, splits, targets, weights, roots]: number[][] = [[], [], [], [], []];
  const plant = (depth: number): { readonly at: number; readonly leaf: number } => {
    if (depth === spec.depth || (depth > 0 && r.chance(0.15))) {
      weights!.push(Math.fround(r.next() - 0.5));
      return { at: targets!.push(r.int(0, spec.targets - 1)) - 1, leaf: 1 };
    }
    const at = modes!.push(CODES.indexOf(r.pick(CODES))) - 1;
    lists.nodes_featureids[at] = r.int(0, spec.features - 1);
    splits![at] = r.int(1, 254) + r.pick([0, 0.5]);
    const [yes, no] = [plant(depth + 1), plant(depth + 1)];
    lists.nodes_truenodeids[at] = yes.at;
    lists.nodes_trueleafs[at] = yes.leaf;
    lists.nodes_falsenodeids[at] = no.at;
    lists.nodes_falseleafs[at] = no.leaf;
    return { at, leaf: 0 };
  };
  for (let tree = 0; tree < spec.trees; tree++) roots!.push(plant(0).at);
  const floats = (values: readonly number[]): AttributeValue => ({
    tensor: { type: 'float', dims: [values.length], values },
  });
  const attributes: Record<string, AttributeValue> = {
    ...lists,
    nodes_modes: { tensor: { type: 'uint8', dims: [modes!.length], values: modes! } },
    nodes_splits: floats(splits!),
    leaf_targetids: targets!,
    leaf_weights: floats(weights!),
    tree_roots: roots!,
    n_targets: spec.targets,
    ...spec.attributes,
  };
  return writeOnnx({
    nodes: [{ op: 'TreeEnsemble', in: ['x'], out: 'scores', domain: 'ai.onnx.ml', attributes }],
    input: { type: 'float', dims: ['N', spec.features] },
    outputType: 'float',
    treeOpset: 5,
  });
}
