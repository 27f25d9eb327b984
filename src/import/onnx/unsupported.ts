import { diagnostic, type Place } from '../../diagnostics/index.ts';
import type { ModelBuilder } from '../builder.ts';

/** A node whose operator is not imported. */
export interface Unsupported {
  readonly operator: string;
  readonly place: Place;
  /** It reads the float input, before anything is quantised. */
  readonly readsFloat: boolean;
}

/** One message a kind of operator, with how many there are and where the first is. */
export function refuseUnsupported(builder: ModelBuilder, nodes: readonly Unsupported[]): void {
  const first = new Map<string, Unsupported>();
  const counts = new Map<string, number>();
  for (const node of nodes) {
    if (!first.has(node.operator)) first.set(node.operator, node);
    counts.set(node.operator, (counts.get(node.operator) ?? 0) + 1);
  }
  for (const [operator, { place, readsFloat }] of first) {
    const count = counts.get(operator)!;
    builder.diagnostics.push(diagnostic('onnx-unsupported-operator', { operator, count, readsFloat }, place));
  }
}
