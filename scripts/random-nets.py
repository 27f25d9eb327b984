"""Random small networks over the operators that the ONNX importer takes, quantised in several styles.

usage: random-nets.py FOLDER COUNT [SEED]

Writes FOLDER/<seed>.<style>.onnx, COUNT of them. `pairs` are QuantizeLinear and DequantizeLinear pairs written here: any operator set from
10 on, grids of either type, symmetric or not, powers of two, without zero points, weights per tensor or channel, as integers or as
floats that are rounded. The others come from ONNX Runtime's quantize_static: `qdq`, `qdq-channel`, `qoperator`. Needs onnx,
onnxruntime and numpy. scripts/random-nets.ts compares what it makes with ONNX Runtime.
"""

import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

onnxruntime.set_default_logger_severity(4)
F32 = np.float32


class Net:
    """A float graph that grows by one node at a time; every value has a shape, and the values that it takes on some rows."""

    def __init__(self, random, opset):
        self.r, self.opset = random, opset
        self.nodes, self.constants, self.shapes, self.values = [], {}, {}, {}
        self.count = 0

    def name(self, stem):
        self.count += 1
        return f"{stem}{self.count}"

    def const(self, values, dtype=F32):
        name = self.name("c")
        self.constants[name] = np.asarray(values, dtype)
        return name

    def ints(self, *values):
        return self.const(values, np.int64)

    def pick(self, *choices):
        return choices[int(self.r.integers(len(choices)))]

    def chance(self, p):
        return self.r.random() < p

    def node(self, op, inputs, outputs=1, **attributes):
        attributes = {k: v for k, v in attributes.items() if v is not None}
        names = [self.name(op.lower()) for _ in range(outputs)]
        node = helper.make_node(op, list(inputs), names, name=self.name(f"{op}_"), **attributes)
        rows = self.run([node], {i: self.values[i] for i in inputs if i in self.values}, names)
        for name, values in zip(names, rows):
            self.values[name] = values
            self.shapes[name] = values[0].shape
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def run(self, nodes, feeds, outputs):
        """The outputs on each row: ONNX Runtime on the nodes alone."""
        read = {i for n in nodes for i in n.input}
        constants = [numpy_helper.from_array(v, k) for k, v in self.constants.items() if k in read]
        ins = [helper.make_tensor_value_info(k, TensorProto.FLOAT, list(v[0].shape)) for k, v in feeds.items()]
        outs = [helper.make_tensor_value_info(k, TensorProto.FLOAT, None) for k in outputs]
        model = helper.make_model(
            helper.make_graph(nodes, "g", ins, outs, constants), opset_imports=[helper.make_opsetid("", self.opset)]
        )
        model.ir_version = 8
        session = onnxruntime.InferenceSession(model.SerializeToString(), plain_options())
        rows = [session.run(None, {k: v[i] for k, v in feeds.items()}) for i in range(len(next(iter(feeds.values()))))]
        return [[row[o] for row in rows] for o in range(len(outputs))]

    def weights(self, *dims):
        return self.const(self.r.normal(0, 1.4 / np.sqrt(max(1, np.prod(dims[1:]))), dims))

    def bias(self, n):
        return self.const(self.r.normal(0, 0.3, n))

    def graph(self, outputs):
        make = helper.make_tensor_value_info
        constants = [numpy_helper.from_array(v, k) for k, v in self.constants.items()]
        shape = list(self.shapes["x"])
        shape[0] = self.pick("N", 1)
        graph = helper.make_graph(
            self.nodes,
            "random",
            [make("x", TensorProto.FLOAT, shape)],
            [make(o, TensorProto.FLOAT, None) for o in outputs],
            constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 8 if self.opset < 21 else 10
        return model


def plain_options():
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return options


# Each takes the net, a value's name and its shape, and gives the name of what it made, or None where it does not fit.


def gemm(n, x, s):
    if len(s) != 2:
        return None
    outs = n.pick(1, 3, 5, 8)
    turned = n.chance(0.5)
    inputs = [x, n.weights(outs, s[1]) if turned else n.weights(s[1], outs)]
    if n.chance(0.7) or n.opset < 11:
        inputs.append(n.const(n.r.normal(0, 0.3, n.pick((outs,), (1, outs), (1,)))))
    scale = dict(alpha=float(n.pick(1, 1, 0.5, 1.7)), beta=float(n.pick(1, 1, 0.7))) if n.chance(0.3) else {}
    return n.node("Gemm", inputs, transB=int(turned), **scale)


def matmul(n, x, s):
    if len(s) < 2 or len(s) > 3:
        return None
    outs = n.pick(1, 3, 5, 8)
    y = n.node("MatMul", [x, n.const(n.r.normal(0, 1.4 / np.sqrt(s[-1]), (s[-1], outs)))])
    return n.node("Add", [y, n.bias(outs)] if n.chance(0.5) else [n.bias(outs), y]) if n.chance(0.6) else y


def window(n, size):
    k = [int(n.r.integers(1, min(4, d) + 1)) for d in size]
    pads = [int(n.r.integers(0, max(1, (kk + 1) // 2))) for kk in k * 2]
    return k, pads, [n.pick(1, 1, 2, 3) for _ in size]


def conv(n, x, s):
    if len(s) not in (3, 4):
        return None
    c, size = s[1], s[2:]
    k, pads, strides = window(n, size)
    group = n.pick(1, 1, c, *([2] if c % 2 == 0 else []))
    outs = group * n.pick(1, 2, 3)
    inputs = [x, n.weights(outs, c // group, *k)]
    if n.chance(0.7):
        inputs.append(n.bias(outs))
    dilations = None
    if n.chance(0.25):
        dilations = [n.pick(1, 2) for _ in k]
        if any(d * (kk - 1) + 1 > z for d, kk, z in zip(dilations, k, size)):
            dilations = None
    auto = n.pick("SAME_UPPER", "SAME_LOWER", "VALID") if n.chance(0.15) and dilations is None else None
    return n.node(
        "Conv",
        inputs,
        kernel_shape=None if n.chance(0.2) else k,
        pads=None if auto else pads,
        auto_pad=auto,
        strides=strides,
        group=group,
        dilations=dilations,
    )


def conv_transpose(n, x, s):
    if len(s) != 4 or s[2] * s[3] > 36:
        return None
    group = n.pick(1, s[1])
    outs = n.pick(1, 2)
    k = [n.pick(1, 2, 3) for _ in range(2)]
    strides = [n.pick(1, 2) for _ in range(2)]
    more = {}
    if n.chance(0.3):
        more["output_padding"] = [n.pick(0, st - 1) for st in strides]
    inputs = [x, n.const(n.r.normal(0, 0.5, (s[1], outs, *k)))] + ([n.bias(outs * group)] if n.chance(0.5) else [])
    return n.node("ConvTranspose", inputs, strides=strides, group=group, pads=[n.pick(0, 0, min(1, kk - 1)) for kk in k * 2], **more)


def pool(op):
    def make(n, x, s):
        if len(s) not in (3, 4):
            return None
        k, pads, strides = window(n, s[2:])
        pads = [min(p, kk - 1) for p, kk in zip(pads, k * 2)]
        more = {}
        if op == "AveragePool":
            more["count_include_pad"] = n.pick(0, 1, None)
        if n.opset >= 10 and n.chance(0.2):
            more["ceil_mode"] = 1
        if op == "MaxPool" and n.chance(0.2):
            dilations = [n.pick(1, 2) for _ in k]
            if all(d * (kk - 1) + 1 <= z for d, kk, z in zip(dilations, k, s[2:])):
                more["dilations"] = dilations
        if n.chance(0.12) and "dilations" not in more and "ceil_mode" not in more:
            return n.node(op, [x], kernel_shape=k, strides=strides, auto_pad=n.pick("SAME_UPPER", "SAME_LOWER", "VALID"), **more)
        return n.node(op, [x], kernel_shape=k, pads=pads, strides=strides, **more)

    return make


def global_pool(op):
    return lambda n, x, s: n.node(op, [x]) if len(s) in (3, 4) else None


def reduce(op, axes_input_since):
    def make(n, x, s):
        if len(s) < 2:
            return None
        rank = len(s)
        axes = sorted(n.r.choice(np.arange(1, rank), int(n.r.integers(1, rank)), replace=False).tolist())
        axes = [a - rank if n.chance(0.3) and n.opset >= 11 else a for a in axes]
        keep = n.pick(0, 1)
        if keep == 0 and len(axes) == rank - 1:
            keep = 1
        if n.opset >= axes_input_since:
            return n.node(op, [x, n.ints(*axes)], keepdims=keep)
        return n.node(op, [x], axes=axes, keepdims=keep)

    return make


def batchnorm(n, x, s):
    if len(s) < 2:
        return None
    c, r = s[1], n.r
    parameters = [r.uniform(0.5, 1.5, c), r.normal(0, 0.4, c), r.normal(0, 0.4, c), r.uniform(0.5, 2, c)]
    return n.node("BatchNormalization", [x, *[n.const(p) for p in parameters]], epsilon=n.pick(None, 0.001))


def simple(op, since=10, domain_ok=True, **choices):
    def make(n, x, s):
        if n.opset < since:
            return None
        return n.node(op, [x], **{k: n.pick(*v) for k, v in choices.items()})

    return make


def clip(n, x, s):
    lo, hi = n.pick((0.0, 6.0), (-0.5, 0.7), (0.0, None), (None, 1.0))
    if n.opset < 11:
        return n.node("Clip", [x], min=lo, max=hi)
    return n.node("Clip", [x, "" if lo is None else n.const(F32(lo)), *([] if hi is None else [n.const(F32(hi))])])


def prelu(n, x, s):
    dims = n.pick((1,), (s[1], *[1] * (len(s) - 2)), s[1:])
    return n.node("PRelu", [x, n.const(n.r.uniform(-0.2, 0.4, dims))])


def constant_arithmetic(op):
    def make(n, x, s):
        dims = n.pick((), (1,), s[1:], (s[-1],), (1, s[1], *[1] * (len(s) - 2)), s)
        values = n.r.normal(0, 0.6, dims)
        if op == "Div":
            values = np.sign(values) * (np.abs(values) + 0.3)
        constant = n.const(values)
        swap = n.chance(0.25) and op != "Div"
        return n.node(op, [constant, x] if swap else [x, constant])

    return make


def minmax(op):
    def make(n, x, s):
        return n.node(op, [x, n.const(F32(n.r.normal(0, 0.5)))])

    return make


def two(op):
    """Of two values of one shape, or one of which is spread along axes of size 1."""

    def make(n, x, s):
        others = [k for k, v in n.shapes.items() if v == s and k != x]
        other = n.pick(*others) if others and n.chance(0.8) else n.node("Sigmoid", [x])
        if op in ("Mul", "Add") and len(s) == 4 and n.chance(0.25):
            other = n.node("Sigmoid", [n.node("GlobalAveragePool", [x])])
        return n.node(op, [x, other])

    return make


def softmax(op):
    def make(n, x, s):
        axis = n.pick(-1, len(s) - 1, None) if n.opset >= 11 else len(s) - 1
        if n.opset >= 13 and n.chance(0.3):
            axis = 1
        if n.opset < 13 and axis is None and len(s) != 2:
            axis = len(s) - 1
        return n.node(op, [x], axis=axis)

    return make


def transpose(n, x, s):
    if len(s) < 3:
        return None
    return n.node("Transpose", [x], perm=[0, *(1 + n.r.permutation(len(s) - 1)).tolist()])


def reshape(n, x, s):
    if len(s) == 2 and s[1] % 4 == 0:
        return n.node("Reshape", [x, n.ints(n.pick(0, -1, 1), s[1] // 4, *n.pick((2, 2), (4,)))])
    if len(s) == 4:
        return n.node("Reshape", [x, n.ints(0, *n.pick((s[1], -1), (-1, s[3])))])
    return n.node("Reshape", [x, n.ints(*n.pick((1, -1), (0, -1)))])


def flatten(n, x, s):
    return n.node("Flatten", [x], axis=n.pick(None, 1)) if len(s) > 2 else None


def pad(n, x, s):
    if len(s) < 3:
        return None
    mode = n.pick("constant", "reflect", "edge")
    spatial = len(s) - 2
    most = [min(2, d - 1) for d in s[2:]]
    pads = [int(n.r.integers(0, m + 1)) for m in most * 2]
    full = [0, 0, *pads[:spatial], 0, 0, *pads[spatial:]]
    if n.opset < 11:
        return n.node("Pad", [x], mode=mode, pads=full, value=float(n.pick(0, 0.4)))
    inputs = [x, n.ints(*full)]
    if mode == "constant" and n.chance(0.6):
        inputs.append(n.const(F32(n.pick(0, 0.4))))
    return n.node("Pad", inputs, mode=mode)


def slice_(n, x, s):
    axis = int(n.r.integers(1, len(s)))
    size = s[axis]
    if size < 2:
        return None
    start = int(n.r.integers(0, size - 1))
    end = int(n.r.integers(start + 1, size + 1))
    if n.chance(0.3):
        return n.node("Slice", [x, n.ints(-1), n.ints(-(2**40)), n.ints(axis), n.ints(-n.pick(1, 2))])
    return n.node("Slice", [x, n.ints(start), n.ints(n.pick(end, 2**62) if end == size else end), n.ints(axis), n.ints(n.pick(1, 2))])


def split(n, x, s):
    axis = int(n.r.integers(1, len(s)))
    size = s[axis]
    if size < 2:
        return None
    first = int(n.r.integers(1, size))
    sizes = [first, size - first]
    if n.opset >= 13:
        parts = n.node("Split", [x, n.ints(*sizes)], outputs=2, axis=axis)
    else:
        parts = n.node("Split", [x], outputs=2, axis=axis, split=sizes)
    if n.chance(0.5):
        return n.node("Concat", [parts[1], parts[0]], axis=axis)
    return parts[n.pick(0, 1)]


def concat(n, x, s):
    axis = int(n.r.integers(1, len(s)))
    fits = [k for k, v in n.shapes.items() if len(v) == len(s) and all(i == axis or v[i] == s[i] for i in range(len(s)))]
    other = n.pick(*fits)
    return n.node("Concat", [x, other] if n.chance(0.5) else [other, x], axis=n.pick(axis, axis - len(s)))


def squeeze(n, x, s):
    ones = [i for i in range(1, len(s)) if s[i] == 1]
    if not ones or len(s) < 3:
        if len(s) > 3:
            return None
        axis = int(n.r.integers(1, len(s) + 1))
        return n.node("Unsqueeze", [x, n.ints(axis)]) if n.opset >= 13 else n.node("Unsqueeze", [x], axes=[axis])
    axis = n.pick(*ones)
    return n.node("Squeeze", [x, n.ints(axis)]) if n.opset >= 13 else n.node("Squeeze", [x], axes=[axis])


def gather(n, x, s):
    axis = int(n.r.integers(1, len(s)))
    size = s[axis]
    if n.chance(0.3) and len(s) > 2:
        return n.node("Gather", [x, n.const(int(n.r.integers(size)), np.int64)], axis=axis)
    lowest = -size if n.opset >= 11 else 0
    return n.node("Gather", [x, n.ints(*n.r.integers(lowest, size, int(n.r.integers(1, 4))).tolist())], axis=axis)


def resize(n, x, s):
    if len(s) != 4 or s[2] * s[3] > 25 or n.opset < 11:
        return None
    mode = n.pick("nearest", "nearest", "linear") if n.opset >= 13 else "nearest"
    coordinates = n.pick("asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel")
    more = dict(nearest_mode=n.pick("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")) if mode == "nearest" else {}
    roi = "" if n.opset >= 13 else n.const(np.zeros(0))
    if n.chance(0.5):
        return n.node("Resize", [x, roi, n.const([1, 1, n.pick(1, 2), n.pick(2, 1.5, 3)])], mode=mode, coordinate_transformation_mode=coordinates, **more)
    empty = "" if n.opset >= 13 else n.const(np.zeros(0))
    sizes = n.ints(1, s[1], s[2] + n.pick(0, 1, 3), s[3] * n.pick(1, 2))
    return n.node("Resize", [x, roi, empty, sizes], mode=mode, coordinate_transformation_mode=coordinates, **more)


def depth_space(n, x, s):
    if len(s) != 4:
        return None
    if s[1] % 4 == 0:
        return n.node("DepthToSpace", [x], blocksize=2, mode=n.pick("DCR", "CRD") if n.opset >= 11 else None)
    if s[2] % 2 == 0 and s[3] % 2 == 0:
        return n.node("SpaceToDepth", [x], blocksize=2)
    return None


def expand_tile(n, x, s):
    if np.prod(s) > 64:
        return None
    if n.chance(0.5):
        return n.node("Tile", [x, n.ints(1, *[n.pick(1, 2) for _ in s[1:]])])
    return n.node("Expand", [x, n.ints(*[1 if d == 1 and n.chance(0.3) else d if d > 1 else n.pick(2, 3) for d in (1, *s[1:])][1:])])


def gated(gate):
    """x times a function of it."""
    return lambda n, x, s: n.node("Mul", [x, n.node(gate, [x])])


OPERATORS = {
    "Gemm": (gemm, 6),
    "MatMul": (matmul, 3),
    "Conv": (conv, 10),
    "ConvTranspose": (conv_transpose, 1),
    "MaxPool": (pool("MaxPool"), 3),
    "AveragePool": (pool("AveragePool"), 2),
    "GlobalAveragePool": (global_pool("GlobalAveragePool"), 1),
    "GlobalMaxPool": (global_pool("GlobalMaxPool"), 1),
    "ReduceMean": (reduce("ReduceMean", 18), 1),
    "ReduceMax": (reduce("ReduceMax", 18), 1),
    "ReduceMin": (reduce("ReduceMin", 18), 1),
    "ReduceSum": (reduce("ReduceSum", 13), 1),
    "BatchNormalization": (batchnorm, 2),
    "Relu": (simple("Relu"), 6),
    "Clip": (clip, 2),
    "LeakyRelu": (simple("LeakyRelu", alpha=(None, 0.1, 0.3)), 1),
    "Elu": (simple("Elu", alpha=(None, 0.7)), 1),
    "Selu": (simple("Selu"), 0.5),
    "Celu": (simple("Celu", 12, alpha=(None, 0.7)), 0.5),
    "HardSigmoid": (simple("HardSigmoid", alpha=(None, 0.17), beta=(None, 0.4)), 1),
    "HardSwish": (simple("HardSwish", 14), 1),
    "Mish": (simple("Mish", 18), 0.5),
    "Gelu": (simple("Gelu", 20, approximate=(None, "tanh", "none")), 1),
    "Sigmoid": (simple("Sigmoid"), 1),
    "Tanh": (simple("Tanh"), 1),
    "Softplus": (simple("Softplus"), 0.5),
    "Softsign": (simple("Softsign"), 0.5),
    "Erf": (simple("Erf"), 0.3),
    "Exp": (simple("Exp"), 0.3),
    "Abs": (simple("Abs"), 0.5),
    "Neg": (simple("Neg"), 0.5),
    "Identity": (simple("Identity"), 0.5),
    "Dropout": (simple("Dropout"), 0.3),
    "ThresholdedRelu": (simple("ThresholdedRelu", alpha=(0.2, None)), 0.3),
    "PRelu": (prelu, 1),
    "AddC": (constant_arithmetic("Add"), 1),
    "SubC": (constant_arithmetic("Sub"), 1),
    "MulC": (constant_arithmetic("Mul"), 1),
    "DivC": (constant_arithmetic("Div"), 1),
    "MinC": (minmax("Min"), 0.3),
    "MaxC": (minmax("Max"), 0.3),
    "Add": (two("Add"), 2),
    "Sub": (two("Sub"), 1),
    "Mul": (two("Mul"), 1),
    "Max": (two("Max"), 0.3),
    "SiLU": (gated("Sigmoid"), 0.5),
    "Softmax": (softmax("Softmax"), 1),
    "LogSoftmax": (softmax("LogSoftmax"), 0.5),
    "Transpose": (transpose, 1),
    "Reshape": (reshape, 1),
    "Flatten": (flatten, 3),
    "Pad": (pad, 1),
    "Slice": (slice_, 1),
    "Split": (split, 1),
    "Concat": (concat, 1),
    "Squeeze": (squeeze, 1),
    "Gather": (gather, 1),
    "Resize": (resize, 1),
    "DepthSpace": (depth_space, 1),
    "Expand": (expand_tile, 0.5),
}
NAMES = list(OPERATORS)
CHANCES = np.array([OPERATORS[name][1] for name in NAMES], float)
CHANCES /= CHANCES.sum()


def float_net(random):
    opset = int(random.integers(10, 24))
    n = Net(random, opset)
    style = n.pick("pairs", "pairs", "pairs", *STATIC)
    shape = n.pick((1, 8), (1, 12), (1, 2, 6, 6), (1, 3, 5, 7), (1, 4, 8, 4), (1, 3, 12))
    n.shapes["x"] = shape
    n.values["x"] = [random.normal(0, 1, shape).astype(F32) for _ in range(12)]
    x, made = "x", 0
    if style != "pairs":
        # It quantises what a product makes: one comes first.
        x = gemm(n, "x", shape) if len(shape) == 2 else conv(n, "x", shape)
        made = 1
    wanted = int(random.integers(1, 6))
    tries = 0
    while made < wanted and tries < 60:
        tries += 1
        build = OPERATORS[NAMES[int(random.choice(len(NAMES), p=CHANCES))]][0]
        before = len(n.nodes), dict(n.shapes), dict(n.values), dict(n.constants)
        try:
            y = build(n, x, n.shapes[x])
        except Exception:
            y = None
        values = n.values.get(y)
        bad = values is not None and (
            values[0].size > 400 or values[0].size == 0 or not all(np.isfinite(v).all() for v in values) or np.abs(values).max() > 1e4
        )
        if y is None or bad:
            del n.nodes[before[0] :]
            n.shapes, n.values, n.constants = before[1:]
            continue
        x, made = y, made + 1
    return (n, x, style) if made else None


class Rows(CalibrationDataReader):
    def __init__(self, rows):
        self.rows = iter([{"x": row} for row in rows])

    def get_next(self):
        return next(self.rows, None)


STATIC = {
    "qdq": dict(quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8),
    "qdq-channel": dict(quant_format=QuantFormat.QDQ, activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, per_channel=True),
    "qoperator": dict(quant_format=QuantFormat.QOperator, activation_type=QuantType.QUInt8, weight_type=QuantType.QUInt8),
    "qoperator-int8": dict(quant_format=QuantFormat.QOperator, activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, per_channel=True),
}


def static(n, output, style, path):
    options = dict(STATIC[style])
    extra = {}
    if n.chance(0.3):
        extra["ActivationSymmetric"] = True
    if n.chance(0.2):
        extra["WeightSymmetric"] = False
    if n.chance(0.2):
        options["reduce_range"] = True
    if n.chance(0.2) and style.startswith("qdq"):
        extra["QuantizeBias"] = False
    if n.chance(0.2) and style.startswith("qdq"):
        extra["UseQDQContribOps"] = True
    model = onnx.shape_inference.infer_shapes(n.graph([output]))
    with tempfile.TemporaryDirectory() as temporary:
        source = os.path.join(temporary, "float.onnx")
        onnx.save(model, source)
        quantize_static(source, path, Rows(n.values["x"]), extra_options=extra, **options)


# What the pairs keep together: no grid stands between a product and what is folded into it.
FOLLOWS = {"Relu", "Clip"}
BEFORE = {"Conv", "Gemm", "MatMul", "Add", "BatchNormalization", "ConvTranspose"}
# Outputs on the grid of the input, as exporters write them.
KEEPS = {"MaxPool", "AveragePool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "GlobalMaxPool", "Slice", "Gather", "Relu", "Pad", "Resize", "Identity", "Split", "Concat"}


def grid(n, values, style):
    lo, hi = min(0.0, min(v.min() for v in values)), max(0.0, max(v.max() for v in values))
    if n.chance(0.15):
        lo, hi = lo / 2, hi / 2
    hi = hi if hi - lo > 1e-3 else lo + 1.0
    if style["symmetric"]:
        scale, zero = max(-lo, hi) / 127, (0 if style["type"] == np.int8 else 128)
    else:
        scale = (hi - lo) / 255
        zero = int(np.clip(round(-lo / scale), 0, 255)) - (128 if style["type"] == np.int8 else 0)
    if style["powers"]:
        scale = 2.0 ** np.ceil(np.log2(scale))
    if lo == 0.0 and style["type"] == np.uint8:
        zero = 0
    return F32(scale), zero


def pairs(n, output, path):
    """The graph with QuantizeLinear and DequantizeLinear pairs around it."""
    style = {
        "type": n.pick(np.uint8, np.int8),
        "symmetric": n.chance(0.3),
        "powers": n.chance(0.25),
        "keeps": n.chance(0.6),
        "channel": n.chance(0.5) and n.opset >= 13,
        "floats": n.chance(0.25),
        "whole_bias": n.chance(0.6),
        "weights": n.pick(np.int8, np.int8, np.uint8),
    }
    nodes, seen, grids = [], {}, {}
    integers = n.pick("in", "out", "both", "none")

    def parameters(scale, zero, dtype):
        needed = dtype != np.uint8 or np.any(zero) or n.chance(0.5)
        if n.opset >= 21 and needed and not np.any(zero) and n.chance(0.5):
            return [n.const(scale)], dict(output_dtype=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
        return [n.const(scale), *([n.const(zero, dtype)] if needed else [])], {}

    def dequantise(source, scale, zero, dtype, **axis):
        inputs = [n.const(scale)] + ([n.const(zero, dtype)] if np.any(zero) or n.chance(0.5) else [])
        name = n.name("dq")
        nodes.append(helper.make_node("DequantizeLinear", [source, *inputs], [name], name=n.name("DQ_"), **axis))
        return name

    def activation(name, like=None):
        scale, zero = grids[like] if like in grids and style["keeps"] else grid(n, n.values[name], style)
        grids[name] = scale, zero
        inputs, attributes = parameters(scale, zero, style["type"])
        q = n.name("q")
        nodes.append(helper.make_node("QuantizeLinear", [name, *inputs], [q], name=n.name("Q_"), **attributes))
        seen[name] = dequantise(q, scale, zero, style["type"])

    def weight(name, axis):
        values = n.constants[name]
        info = np.iinfo(style["weights"])
        along = tuple(i for i in range(values.ndim) if i != axis)
        if style["channel"] and values.ndim > 1:
            most, kw = np.abs(values).max(axis=along), dict(axis=axis)
        else:
            most, kw = np.abs(values).max(), {}
        scale = np.maximum(most / 127, 1e-6).astype(F32)
        if style["powers"]:
            scale = (2.0 ** np.ceil(np.log2(scale))).astype(F32)
        zero = np.full(scale.shape, 128 if style["weights"] == np.uint8 else 0, style["weights"])
        spread = scale.reshape([-1 if i == axis else 1 for i in range(values.ndim)]) if scale.ndim else scale
        if style["floats"]:
            q = n.name("q")
            inputs = [n.const(scale), n.const(zero, style["weights"])]
            nodes.append(helper.make_node("QuantizeLinear", [name, *inputs], [q], name=n.name("Q_"), **kw))
            return dequantise(q, scale, zero, style["weights"], **kw), scale
        whole = np.clip(np.rint(values / spread) + (128 if style["weights"] == np.uint8 else 0), info.min, info.max)
        return dequantise(n.const(whole, style["weights"]), scale, zero, style["weights"], **kw), scale

    activation("x")
    makers = {o: node for node in n.nodes for o in node.output}
    readers = {}
    for node in n.nodes:
        for i in node.input:
            readers.setdefault(i, []).append(node)
    for node in n.nodes:
        inputs = [seen.get(i, i) for i in node.input]
        if node.op_type in ("Conv", "Gemm", "MatMul", "ConvTranspose"):
            axis = {"Conv": 0, "ConvTranspose": 1, "MatMul": 1, "Gemm": 0}[node.op_type]
            if node.op_type == "Gemm" and not any(a.name == "transB" and a.i for a in node.attribute):
                axis = 1
            keep = style["channel"]
            if node.op_type == "ConvTranspose":
                style["channel"] = False
            inputs[1], scale = weight(node.input[1], axis)
            style["channel"] = keep
            if len(inputs) > 2 and style["whole_bias"] and node.input[0] in grids and n.constants[node.input[2]].ndim == 1:
                by = grids[node.input[0]][0] * scale
                values = n.constants[node.input[2]]
                if by.ndim == 0 or by.shape == values.shape:
                    whole = n.const(np.rint(values / by), np.int32)
                    name = n.name("dq")
                    nodes.append(helper.make_node("DequantizeLinear", [whole, n.const(by.astype(F32))], [name], name=n.name("DQ_"), **(dict(axis=0) if by.ndim else {})))
                    inputs[2] = name
        elif n.chance(0.5):
            # A constant beside it on a grid of its own.
            for i, name in enumerate(node.input):
                if name in n.constants and n.constants[name].dtype == F32 and n.constants[name].size > 0 and node.op_type in ("Add", "Mul", "Sub", "Div", "PRelu"):
                    most = np.abs(n.constants[name]).max()
                    if most > 0:
                        scale = F32(most / 127)
                        inputs[i] = dequantise(n.const(np.rint(n.constants[name] / scale), np.int8), scale, 0, np.int8)
        copy = helper.make_node(node.op_type, inputs, list(node.output), name=node.name)
        copy.attribute.extend(node.attribute)
        nodes.append(copy)
        for o in node.output:
            follow = readers.get(o, [])
            fused = node.op_type in BEFORE and len(follow) == 1 and follow[0].op_type in FOLLOWS and n.chance(0.7)
            if not fused:
                activation(o, node.input[0] if node.op_type in KEEPS else None)
    del makers
    end = seen[output]
    kind = {np.uint8: TensorProto.UINT8, np.int8: TensorProto.INT8}[style["type"]]
    out_type = TensorProto.FLOAT
    if integers in ("out", "both"):
        last = nodes.pop()
        end, out_type = last.input[0], kind
    shape = list(n.shapes["x"])
    shape[0] = n.pick("N", 1)
    in_type = TensorProto.FLOAT
    if integers in ("in", "both"):
        first = nodes.pop(0)
        for node in nodes:
            node.input[:] = ["x" if i == first.output[0] else i for i in node.input]
        in_type = kind
    constants = [numpy_helper.from_array(v, k) for k, v in n.constants.items()]
    graph = helper.make_graph(
        nodes, "random", [helper.make_tensor_value_info("x", in_type, shape)], [helper.make_tensor_value_info(end, out_type, None)], constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", n.opset)])
    model.ir_version = 8 if n.opset < 21 else 10
    used = {i for node in nodes for i in node.input}
    kept = [c for c in graph.initializer if c.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    onnx.save(model, path)


def main(folder, count, seed):
    os.makedirs(folder, exist_ok=True)
    made = 0
    while made < count:
        seed += 1
        random = np.random.default_rng(seed)
        try:
            built = float_net(random)
        except Exception:
            built = None
        if built is None:
            continue
        n, output, style = built
        path = os.path.join(folder, f"{seed:06d}.{style}.onnx")
        try:
            if style == "pairs":
                pairs(n, output, path)
            else:
                static(n, output, style, path)
            onnxruntime.InferenceSession(path, plain_options())
        except Exception as error:
            print(f"{seed} {style}: {str(error)[:200]}", file=sys.stderr)
            if os.path.exists(path):
                os.remove(path)
            continue
        made += 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
