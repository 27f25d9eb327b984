import {
  type AttributeValue,
  type GraphSpec,
  type NodeSpec,
  scalar,
  type TensorSpec,
  tensor,
} from './onnx-writer.ts';

/** A quantisation of a test tensor. */
export interface Grid {
  readonly type: 'uint8' | 'int8' | 'uint16' | 'int16';
  readonly scale: number;
  readonly zero: number;
}

/** Puts graphs together in QDQ form, with names made up on the way. */
export class GraphBuilder {
  readonly nodes: NodeSpec[] = [];
  readonly constants: Record<string, TensorSpec> = {};
  #next = 0;

  #fresh = (stem: string): string => `${stem}${this.#next++}`;

  constant(stem: string, spec: TensorSpec): string {
    const name = this.#fresh(stem);
    this.constants[name] = spec;
    return name;
  }

  node(
    op: string,
    inputs: readonly string[],
    attributes?: Record<string, AttributeValue>,
    domain = '',
  ): string {
    const out = this.#fresh(op.toLowerCase());
    this.nodes.push({ op, in: inputs, out, domain, ...(attributes && { attributes }) });
    return out;
  }

  /** A node of several outputs. */
  nodeOf(
    op: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Record<string, AttributeValue>,
  ): string[] {
    const outs = Array.from({ length: outputs }, () => this.#fresh(op.toLowerCase()));
    this.nodes.push({ op, in: inputs, out: outs[0]!, more: outs.slice(1), attributes });
    return outs;
  }

  /** Scale and zero point as two constants. */
  grid({ type, scale, zero }: Grid): [string, string] {
    return [this.constant('s', scalar('float', scale)), this.constant('z', scalar(type, zero))];
  }

  dequantize(value: string, grid: Grid): string {
    return this.node('DequantizeLinear', [value, ...this.grid(grid)]);
  }

  quantize(value: string, grid: Grid): string {
    return this.node('QuantizeLinear', [value, ...this.grid(grid)]);
  }

  /** Scales and zero points of weights: scalars if one is given. */
  weightGrid(type: 'uint8' | 'int8', scales: readonly number[], zeros: readonly number[]): [string, string] {
    const dims = scales.length === 1 ? [] : [scales.length];
    return [
      this.constant('ws', tensor('float', dims, scales)),
      this.constant('wz', tensor(type, dims, zeros)),
    ];
  }

  weights(
    spec: TensorSpec & { type: 'uint8' | 'int8' },
    scales: readonly number[],
    zeros: readonly number[],
    axis = 0,
  ) {
    const q = this.constant('w', spec);
    return this.node('DequantizeLinear', [q, ...this.weightGrid(spec.type, scales, zeros)], { axis });
  }

  /** int32 on the scale of the accumulator. */
  bias(values: readonly number[], scales: readonly number[]): string {
    const q = this.constant('b', tensor('int32', [values.length], values));
    const s = this.constant('bs', tensor('float', [scales.length], scales));
    const z = this.constant(
      'bz',
      tensor(
        'int32',
        [scales.length],
        scales.map(() => 0),
      ),
    );
    return this.node('DequantizeLinear', [q, s, z], { axis: 0 });
  }

  graph(
    input: GraphSpec['input'],
    output: string,
    outputType: GraphSpec['outputType'],
    opset = 17,
  ): GraphSpec {
    return {
      nodes: this.nodes,
      constants: this.constants,
      output,
      opset,
      ...(input && { input }),
      ...(outputType && { outputType }),
    };
  }
}
