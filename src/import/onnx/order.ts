import { refuse } from '../../diagnostics/index.ts';
import { nodeName } from './node-reader.ts';
import type { OnnxGraph, OnnxNode } from './proto.ts';

/**
 * The nodes on which a tensor depends, makers before their readers. The format asks for that order of the file; programs that
 * write others are read all the same, as ONNX Runtime does.
 *
 * @param from a tensor at which the graph begins, if not at its inputs
 * @throws DiagnosticError if nodes read each other in a circle
 */
export function orderedNodes(
  graph: OnnxGraph,
  to: string,
  from: string | undefined,
  file: string,
): OnnxNode[] {
  const makers = new Map<string, OnnxNode>();
  for (const node of graph.node) for (const name of node.output) if (name) makers.set(name, node);
  const state = new Map<OnnxNode, 'open' | 'done'>();
  const ordered: OnnxNode[] = [];
  // Depth first without recursion: graphs of thousands of nodes in a row are nothing unusual.
  const stack: { readonly node: OnnxNode; next: number }[] = [];
  const enter = (name: string) => {
    const node = name === from ? undefined : makers.get(name);
    if (node === undefined || state.get(node) === 'done') return;
    if (state.get(node) === 'open')
      refuse('onnx-malformed', { reason: `${nodeName(node)} reads what is made of it` }, { file });
    state.set(node, 'open');
    stack.push({ node, next: 0 });
  };
  enter(to);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const name = top.node.input[top.next++];
    if (name === undefined) {
      stack.pop();
      state.set(top.node, 'done');
      ordered.push(top.node);
    } else if (name !== '') enter(name);
  }
  const place = new Map(graph.node.map((node, i) => [node, i]));
  // Of an order that is right already nothing changes.
  const inFile = [...ordered].sort((a, b) => place.get(a)! - place.get(b)!);
  return isSound(inFile, makers) ? inFile : ordered;
}

function isSound(nodes: readonly OnnxNode[], makers: ReadonlyMap<string, OnnxNode>): boolean {
  const wanted = new Set(nodes);
  const done = new Set<OnnxNode>();
  for (const node of nodes) {
    for (const name of node.input) {
      const maker = makers.get(name);
      if (maker !== undefined && wanted.has(maker) && !done.has(maker)) return false;
    }
    done.add(node);
  }
  return true;
}
