import type { DenseLayer, Model } from '../src/model/model.ts';
import { valueType } from '../src/model/model.ts';
import { elementRange } from '../src/model/tensor.ts';
import { type NodeSpec, scalar, type TensorSpec, tensor, writeOnnx } from '../test/import/onnx-writer.ts';

/**
 * A model of dense layers as ONNX, for ONNX Runtime to run: one fused `QGemm` (com.microsoft) a layer, which is what its
 * optimiser makes of quantised models. ReLU is the clamp at the zero point. The scales of the weights follow from the
 * multipliers, so results may differ from ours by one where halves are rounded.
 */
export function denseModelToOnnx(model: Model): Uint8Array {
  const constants: Record<string, TensorSpec> = {};
  const nodes = model.layers.map((layer, i): NodeSpec => {
    if (layer.kind !== 'dense') throw new Error(`a ${layer.kind} layer is not exported`);
    const [from, to] = [valueType(model, i), layer.output];
    const names = ['as', 'az', 'w', 'ws', 'wz', 'b', 'ys', 'yz'].map((part) => `${part}${i}`);
    const values: TensorSpec[] = [
      scalar('float', from.scale),
      scalar(from.element, from.zeroPoint),
      tensor('int8', [layer.bias.length, layer.weights.length / layer.bias.length], layer.weights),
      scalar('float', weightScale(layer, from.scale)),
      scalar('int8', 0),
      tensor('int32', [layer.bias.length], layer.bias),
      scalar('float', to.scale),
      scalar(to.element, to.zeroPoint),
    ];
    values.forEach((value, n) => {
      constants[names[n]!] = value;
    });
    const { min, max } = layer.requantiser;
    const { lo, hi } = elementRange(to.element);
    if (min !== lo || max !== hi) throw new Error('a clamp within the type is not exported');
    return {
      op: 'QGemm',
      domain: 'com.microsoft',
      in: [i === 0 ? 'x' : `v${i}`, ...names],
      out: `v${i + 1}`,
      attributes: { transB: 1 },
    };
  });
  const input = { type: model.input.element, dims: [1, ...model.input.shape] };
  return writeOnnx({ nodes, constants, input, outputType: model.layers.at(-1)!.output.element });
}

/** `multiplier / 2^shift = input scale * weight scale / output scale`. */
const weightScale = ({ requantiser: r, output }: DenseLayer, inputScale: number): number =>
  (r.multiplier[0]! / 2 ** r.shift) * (output.scale / inputScale);
