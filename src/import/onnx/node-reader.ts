import { type Diagnostic, DiagnosticError, type Place, refuse } from '../../diagnostics/index.ts';
import type { ModelBuilder } from '../builder.ts';
import type { OnnxAttribute, OnnxNode } from './proto.ts';
import type { Constant } from './tensor-data.ts';
import type { Value } from './values.ts';

/** One node with its inputs resolved: what an operator's importer sees. Every fault names the node. */
export class NodeReader {
  readonly builder: ModelBuilder;
  readonly node: OnnxNode;
  /** The node's own name, else that of its first output. */
  readonly name: string;
  /** Version of the operator set of the node's domain. */
  readonly opset: number;
  readonly #inputs: readonly (Value | undefined)[];

  constructor(builder: ModelBuilder, node: OnnxNode, inputs: readonly (Value | undefined)[], opset: number) {
    this.builder = builder;
    this.node = node;
    this.name = nodeName(node);
    this.opset = opset;
    this.#inputs = inputs;
  }

  place(input?: number): Place {
    return this.builder.place(this.name, input === undefined ? undefined : this.node.input[input]);
  }

  get operator(): string {
    return this.node.opType ?? '';
  }

  /** Name of the tensor read, for messages. */
  tensor(index: number): string {
    return this.node.input[index] ?? `input ${index}`;
  }

  optional(index: number): Value | undefined {
    return this.#inputs[index];
  }

  input(index: number): Value {
    const value = this.#inputs[index];
    if (value === undefined)
      return refuse('onnx-malformed', { reason: `${this.operator} lacks its input ${index}` }, this.place());
    return value;
  }

  /** @throws DiagnosticError `onnx-dynamic` if the input is computed by the graph; `what` it is, for the message */
  constant(index: number, what: string): Constant {
    const value = this.input(index);
    if (value.kind !== 'constant')
      return refuse('onnx-dynamic', { tensor: this.tensor(index), what }, this.place(index));
    return value;
  }

  #attribute(name: string): OnnxAttribute | undefined {
    return this.node.attribute.find((a) => a.name === name);
  }

  /** A present attribute of value zero may be encoded as no value at all. */
  int(name: string, absent: number): number {
    const attribute = this.#attribute(name);
    return attribute === undefined ? absent : (attribute.i ?? 0);
  }

  float(name: string, absent: number): number {
    const attribute = this.#attribute(name);
    return attribute === undefined ? absent : (attribute.f ?? 0);
  }

  ints(name: string): readonly number[] | undefined {
    return this.#attribute(name)?.ints;
  }

  floats(name: string): readonly number[] | undefined {
    return this.#attribute(name)?.floats;
  }

  string(name: string, absent: string): string {
    const bytes = this.#attribute(name)?.s;
    return bytes === undefined ? absent : new TextDecoder().decode(bytes);
  }

  tensorAttribute(name: string): OnnxAttribute['t'] {
    return this.#attribute(name)?.t;
  }

  refuseAttribute(attribute: string, value: string | number, supported: string): never {
    return refuse('onnx-attribute', { attribute, value: String(value), supported }, this.place());
  }

  /** Refuses every value of an integer attribute but this one. */
  requireInt(name: string, only: number, absent = only): void {
    const value = this.int(name, absent);
    if (value !== only) this.refuseAttribute(name, value, String(only));
  }

  refuseFloat(index: number, reason: string): never {
    return refuse('onnx-float-value', { tensor: this.tensor(index), reason }, this.place(index));
  }
}

export const nodeName = (node: OnnxNode): string => node.name || node.output[0] || node.opType || 'node';

/** Runs both and throws what they found together, so that one run tells the faults of both operands. */
export function bothOf<A, B>(first: () => A, second: () => B): readonly [A, B] {
  let a: A;
  try {
    a = first();
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    const faults: Diagnostic[] = [...error.diagnostics];
    try {
      second();
    } catch (other) {
      if (!(other instanceof DiagnosticError)) throw other;
      faults.push(...other.diagnostics);
    }
    throw new DiagnosticError(faults);
  }
  return [a, second()];
}
