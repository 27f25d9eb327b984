import { type Diagnostic, DiagnosticError, diagnostic, type Place, refuse } from '../../diagnostics/index.ts';
import type { ModelBuilder } from '../builder.ts';
import type { OnnxAttribute, OnnxNode } from './proto.ts';
import type { Constant } from './tensor-data.ts';
import type { Value } from './values.ts';

/** `AttributeProto.AttributeType`: the numbers of the format. */
const AttributeType = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7, strings: 8 } as const;

/**
 * One node with its inputs resolved: what an operator's importer sees. Every fault names the node.
 *
 * It keeps count of what was asked for: an attribute or input that nobody reads has a meaning that is not understood
 * here, and `refuseUnread` refuses it.
 */
export class NodeReader {
  readonly builder: ModelBuilder;
  readonly node: OnnxNode;
  /** The node's own name, else that of its first output. */
  readonly name: string;
  /** Version of the operator set of the node's domain. */
  readonly opset: number;
  readonly #inputs: readonly (Value | undefined)[];
  readonly #readAttributes = new Set<string>();
  readonly #readInputs = new Set<number>();

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
    this.#readInputs.add(index);
    return this.#inputs[index];
  }

  input(index: number): Value {
    const value = this.optional(index);
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

  /** @throws DiagnosticError `onnx-attribute` if the attribute is of another type than this */
  #attribute(name: string, type: keyof typeof AttributeType): OnnxAttribute | undefined {
    this.#readAttributes.add(name);
    const found = this.node.attribute.filter((a) => a.name === name);
    if (found.length > 1) this.refuseAttribute(name, `${found.length} values`, 'one');
    const [attribute] = found;
    if (attribute === undefined) return undefined;
    if (attribute.refAttrName)
      this.refuseAttribute(name, `that of a function (${attribute.refAttrName})`, type);
    if (attribute.type !== AttributeType[type])
      this.refuseAttribute(name, `of attribute type ${attribute.type ?? 0}`, type);
    return attribute;
  }

  /** Whether the node has the attribute, of whatever type. */
  has(name: string): boolean {
    return this.node.attribute.some((a) => a.name === name);
  }

  /** A present attribute of value zero may be encoded as no value at all. */
  int(name: string, absent: number): number {
    const attribute = this.#attribute(name, 'int');
    return attribute === undefined ? absent : (attribute.i ?? 0);
  }

  float(name: string, absent: number): number {
    const attribute = this.#attribute(name, 'float');
    const value = attribute === undefined ? absent : (attribute.f ?? 0);
    if (Number.isNaN(value)) this.refuseAttribute(name, 'NaN', 'a number');
    return value;
  }

  ints(name: string): readonly number[] | undefined {
    return this.#attribute(name, 'ints')?.ints;
  }

  floats(name: string): readonly number[] | undefined {
    return this.#attribute(name, 'floats')?.floats;
  }

  string(name: string, absent: string): string {
    const bytes = this.#attribute(name, 'string')?.s;
    return bytes === undefined ? absent : new TextDecoder().decode(bytes);
  }

  strings(name: string): readonly string[] | undefined {
    const decoder = new TextDecoder();
    return this.#attribute(name, 'strings')?.strings.map((bytes) => decoder.decode(bytes));
  }

  tensorAttribute(name: string): OnnxAttribute['t'] {
    return this.#attribute(name, 'tensor')?.t;
  }

  /** Says that these attributes do not change what is computed, whatever they are. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.#readAttributes.add(name);
  }

  /** @throws DiagnosticError with every attribute and input of the node that its importer did not ask for */
  refuseUnread(): void {
    const faults = this.node.attribute
      .filter(({ name }) => !this.#readAttributes.has(name ?? ''))
      .map(({ name = '' }) =>
        diagnostic(
          'onnx-attribute-unknown',
          { attribute: name, operator: this.operator, opset: this.opset },
          this.place(),
        ),
      );
    for (const [i, tensor] of this.node.input.entries())
      if (tensor && !this.#readInputs.has(i))
        faults.push(
          diagnostic(
            'onnx-input-unknown',
            { index: i, operator: this.operator, opset: this.opset },
            this.place(i),
          ),
        );
    if (faults.length > 0) throw new DiagnosticError(faults);
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

/** As a layer and messages have it: many exporters name outputs alone. */
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
