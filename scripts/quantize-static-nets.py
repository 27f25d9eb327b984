"""Small float networks of many shapes, quantised by ONNX Runtime's own quantize_static in three styles, and on request with
activations of 16 bits.

usage: quantize-static-nets.py FOLDER [--wide] [SHAPE ...]

Writes FOLDER/<shape>.<style>.onnx. Needs onnx, onnxruntime and numpy; the same versions write the same bytes. The tests read
what is committed; this script is how it was made, and how to make more.
"""

import os
import sys
import tempfile
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

OPSET = 17


class Net:
    """A chain of nodes with random weights; each call returns the name of what it made."""

    def __init__(self, name, shape):
        self.name, self.shape = name, shape
        self.random = np.random.default_rng(zlib.crc32(name.encode()))
        self.nodes, self.constants = [], []

    def const(self, values, dtype=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def weights(self, *dims, fan=None):
        fan = fan or np.prod(dims[1:])
        return self.const(self.random.normal(0, 1.4 / np.sqrt(fan), dims))

    def node(self, op, *inputs, outputs=1, **attributes):
        names = [f"{op.lower()}{len(self.nodes)}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"{op}_{len(self.nodes)}", **attributes))
        return names[0] if outputs == 1 else names

    def gemm(self, x, ins, outs):
        bias = self.const(self.random.normal(0, 0.3, outs))
        return self.node("Gemm", x, self.weights(outs, ins), bias, transB=1)

    def matmul_add(self, x, ins, outs):
        y = self.node("MatMul", x, self.weights(ins, outs, fan=ins))
        return self.node("Add", y, self.const(self.random.normal(0, 0.3, outs)))

    def conv(self, x, ins, outs, kernel=3, group=1, pads=None, strides=None, rank=2, bias=True):
        pads = [kernel // 2] * (2 * rank) if pads is None else pads
        inputs = [x, self.weights(outs, ins // group, *[kernel] * rank)]
        if bias:
            inputs.append(self.const(self.random.normal(0, 0.3, outs)))
        return self.node("Conv", *inputs, kernel_shape=[kernel] * rank, pads=pads, group=group, strides=strides or [1] * rank)

    def batchnorm(self, x, channels):
        r = self.random
        parameters = [r.uniform(0.5, 1.5, channels), r.normal(0, 0.4, channels), r.normal(0, 0.4, channels), r.uniform(0.5, 2, channels)]
        return self.node("BatchNormalization", x, *[self.const(p) for p in parameters])

    def relu(self, x):
        return self.node("Relu", x)

    def flatten(self, x):
        return self.node("Flatten", x)

    def ints(self, *values):
        return self.const(values, np.int64)

    def model(self, output):
        make = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [make("x", TensorProto.FLOAT, ["N", *self.shape])],
            [make(output, TensorProto.FLOAT, None)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        return onnx.shape_inference.infer_shapes(model)


def mlp(n):
    x = n.relu(n.gemm("x", 12, 16))
    return n.gemm(n.relu(n.gemm(x, 16, 16)), 16, 5)


def mlp_matmul_add(n):
    x = n.relu(n.matmul_add("x", 12, 16))
    return n.matmul_add(x, 16, 5)


def mlp_batchnorm(n):
    x = n.relu(n.batchnorm(n.gemm("x", 12, 16), 16))
    return n.gemm(x, 16, 5)


def cnn(n):
    x = n.node("MaxPool", n.relu(n.conv("x", 2, 6)), kernel_shape=[2, 2], strides=[2, 2])
    return n.gemm(n.flatten(n.relu(n.conv(x, 6, 4))), 64, 5)


def cnn_batchnorm(n):
    x = n.relu(n.batchnorm(n.conv("x", 2, 6, bias=False), 6))
    x = n.relu(n.batchnorm(n.conv(x, 6, 4, strides=[2, 2]), 4))
    return n.gemm(n.flatten(x), 64, 5)


def depthwise(n):
    clip = lambda x: n.node("Clip", x, n.const(0.0), n.const(6.0))
    x = clip(n.conv("x", 2, 4))
    x = clip(n.conv(x, 4, 4, group=4))
    x = clip(n.conv(x, 4, 6, kernel=1))
    return n.gemm(n.flatten(n.node("GlobalAveragePool", x)), 6, 5)


def residual(n):
    x = n.relu(n.conv("x", 2, 4))
    y = n.conv(n.relu(n.conv(x, 4, 4)), 4, 4)
    return n.gemm(n.flatten(n.relu(n.node("Add", x, y))), 256, 5)


def average_pool(n):
    x = n.node("AveragePool", n.relu(n.conv("x", 2, 4)), kernel_shape=[2, 2], strides=[2, 2])
    return n.gemm(n.flatten(x), 64, 5)


def average_pool_padded(n):
    x = n.conv("x", 2, 4)
    x = n.node("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    x = n.node("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    return n.gemm(n.flatten(x), 64, 5)


def global_average(n):
    return n.gemm(n.flatten(n.node("GlobalAveragePool", n.relu(n.conv("x", 2, 8)))), 8, 5)


def max_pool(n):
    x = n.node("MaxPool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    x = n.node("MaxPool", n.conv(x, 2, 4), kernel_shape=[2, 2], strides=[2, 2])
    return n.gemm(n.flatten(n.relu(x)), 16, 5)


def global_max(n):
    return n.gemm(n.flatten(n.node("GlobalMaxPool", n.conv("x", 2, 8))), 8, 5)


def activation(op, **attributes):
    def net(n):
        x = n.node(op, n.gemm("x", 12, 16), **attributes)
        return n.gemm(n.node(op, n.gemm(x, 16, 16), **attributes), 16, 5)

    return net


def silu(n):
    gate = lambda x: n.node("Mul", x, n.node("Sigmoid", x))
    return n.gemm(gate(n.gemm("x", 12, 16)), 16, 5)


def prelu(n):
    x = n.conv("x", 2, 4)
    x = n.node("PRelu", x, n.const(n.random.uniform(0.05, 0.4, (4, 1, 1))))
    return n.gemm(n.flatten(x), 256, 5)


def softmax_end(n):
    return n.node("Softmax", n.gemm(n.relu(n.gemm("x", 12, 16)), 16, 5), axis=-1)


def sigmoid_end(n):
    return n.node("Sigmoid", n.gemm(n.relu(n.gemm("x", 12, 16)), 16, 3))


def concat(n):
    x = n.relu(n.conv("x", 2, 4))
    y = n.node("Concat", n.relu(n.conv(x, 4, 3, kernel=1)), n.relu(n.conv(x, 4, 3)), axis=1)
    return n.gemm(n.flatten(y), 384, 5)


def transpose(n):
    x = n.node("Transpose", n.relu(n.conv("x", 2, 4)), perm=[0, 2, 3, 1])
    return n.gemm(n.flatten(x), 256, 5)


def pad(n):
    x = n.node("Pad", "x", n.ints(0, 0, 1, 1, 0, 0, 1, 1))
    x = n.relu(n.conv(x, 2, 4, pads=[0, 0, 0, 0]))
    return n.gemm(n.flatten(x), 256, 5)


def squeeze_excite(n):
    x = n.relu(n.conv("x", 2, 4))
    s = n.relu(n.conv(n.node("GlobalAveragePool", x), 4, 2, kernel=1))
    s = n.node("Sigmoid", n.conv(s, 2, 4, kernel=1))
    return n.gemm(n.flatten(n.node("Mul", x, s)), 256, 5)


def conv1d(n):
    x = n.relu(n.conv("x", 3, 6, rank=1))
    x = n.node("MaxPool", x, kernel_shape=[2], strides=[2])
    return n.gemm(n.flatten(n.relu(n.conv(x, 6, 4, rank=1))), 32, 5)


def reduce_mean(n):
    x = n.relu(n.conv("x", 2, 8))
    return n.gemm(n.node("ReduceMean", x, axes=[2, 3], keepdims=0), 8, 5)


def split(n):
    a, b = n.node("Split", n.gemm("x", 12, 16), outputs=2, axis=1)
    return n.gemm(n.node("Add", n.relu(a), n.node("Tanh", b)), 8, 5)


def scaler(n):
    x = n.node("Sub", "x", n.const(n.random.normal(0, 0.3, 12)))
    x = n.node("Div", x, n.const(n.random.uniform(0.5, 2, 12)))
    return n.gemm(n.relu(n.gemm(x, 12, 16)), 16, 5)


def two_scales(n):
    a, b = n.gemm("x", 12, 16), n.relu(n.gemm("x", 12, 16))
    x = n.node("Sub", n.node("Mul", a, n.const(0.7)), b)
    return n.gemm(n.relu(x), 16, 5)


IMAGE, VECTOR = [2, 8, 8], [12]
SHAPES = {
    "mlp": (mlp, VECTOR),
    "mlp-matmul-add": (mlp_matmul_add, VECTOR),
    "mlp-batchnorm": (mlp_batchnorm, VECTOR),
    "cnn": (cnn, IMAGE),
    "cnn-batchnorm": (cnn_batchnorm, IMAGE),
    "depthwise": (depthwise, IMAGE),
    "residual": (residual, IMAGE),
    "average-pool": (average_pool, IMAGE),
    "average-pool-padded": (average_pool_padded, IMAGE),
    "global-average": (global_average, IMAGE),
    "max-pool": (max_pool, IMAGE),
    "global-max": (global_max, IMAGE),
    "leaky-relu": (activation("LeakyRelu", alpha=0.1), VECTOR),
    "hard-sigmoid": (activation("HardSigmoid", alpha=0.17, beta=0.5), VECTOR),
    "hard-swish": (activation("HardSwish"), VECTOR),
    "sigmoid": (activation("Sigmoid"), VECTOR),
    "tanh": (activation("Tanh"), VECTOR),
    "elu": (activation("Elu", alpha=0.8), VECTOR),
    "silu": (silu, VECTOR),
    "prelu": (prelu, IMAGE),
    "softmax-end": (softmax_end, VECTOR),
    "sigmoid-end": (sigmoid_end, VECTOR),
    "concat": (concat, IMAGE),
    "transpose": (transpose, IMAGE),
    "pad": (pad, IMAGE),
    "squeeze-excite": (squeeze_excite, IMAGE),
    "conv1d": (conv1d, [3, 16]),
    "reduce-mean": (reduce_mean, IMAGE),
    "split": (split, VECTOR),
    "scaler": (scaler, VECTOR),
    "two-scales": (two_scales, VECTOR),
}

STYLES = {
    "qdq": dict(quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8),
    "qdq-channel": dict(quant_format=QuantFormat.QDQ, activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, per_channel=True),
    "qoperator": dict(quant_format=QuantFormat.QOperator, activation_type=QuantType.QUInt8, weight_type=QuantType.QUInt8),
}

# Activations of 16 bits, weights of 8.
WIDE_STYLES = {
    "qdq-uint16": dict(quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt16, weight_type=QuantType.QInt8),
    "qdq-int16": dict(quant_format=QuantFormat.QDQ, activation_type=QuantType.QInt16, weight_type=QuantType.QInt8, per_channel=True,
        extra_options={"ActivationSymmetric": True}),
}


class Rows(CalibrationDataReader):
    def __init__(self, shape):
        random = np.random.default_rng(1)
        self.rows = iter([{"x": random.normal(0, 1, (1, *shape)).astype(np.float32)} for _ in range(24)])

    def get_next(self):
        return next(self.rows, None)


def main(folder, only, styles):
    os.makedirs(folder, exist_ok=True)
    for name, (build, shape) in SHAPES.items():
        if only and name not in only:
            continue
        net = Net(name, shape)
        model = net.model(build(net))
        for style, options in styles.items():
            path = os.path.join(folder, f"{name}.{style}.onnx")
            with tempfile.TemporaryDirectory() as temporary:
                source = os.path.join(temporary, "float.onnx")
                onnx.save(model, source)
                quantize_static(source, path, Rows(shape), **options)
            # What differs between machines and versions says nothing here.
            quantised = onnx.load(path)
            del quantised.graph.value_info[:]
            quantised.producer_version = ""
            onnx.save(quantised, path)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    names = [name for name in sys.argv[2:] if name != "--wide"]
    main(sys.argv[1], names, WIDE_STYLES if "--wide" in sys.argv else STYLES)
