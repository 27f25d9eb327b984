"""One ONNX network for each attribute of each operator, at each version of the operator: is it read, or refused?

usage: attribute-nets.py FOLDER [EVERY [OPERATOR ...]]

Writes FOLDER/<operator>.<version>.<number>.onnx, each EVERY-th of them (1: all). Between DequantizeLinear and QuantizeLinear
stands one node, with one set of the attributes below. onnx.defs says which attributes an operator has at which version: one that no
set below tries is printed, of the OPERATORs if any are named. Needs onnx and numpy. scripts/random-nets.ts compares what it makes with
ONNX Runtime.
"""

import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, defs, helper, numpy_helper

F32, I64 = np.float32, np.int64
NEWEST, OLDEST = 23, 7
U8, S8, SHARES, LOGS = ("uint8", 0.05, 100), ("int8", 0.043, -5), ("uint8", 1 / 256, 0), ("uint8", 0.06, 255)
TYPES = {"uint8": (np.uint8, TensorProto.UINT8), "int8": (np.int8, TensorProto.INT8)}
IMAGE, VECTOR, SEQUENCE = [3, 6, 8], [24], [4, 9]


class Net:
    def __init__(self, opset):
        self.opset, self.nodes, self.constants = opset, [], []
        self.random = np.random.default_rng(1)

    def const(self, values, dtype=F32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, op, inputs, outputs=1, domain="", **attributes):
        names = [f"{op}{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"{op}_{len(self.nodes)}", domain=domain, **attributes))
        return names[-1]

    def on_grid(self, op, x, grid):
        # The pair is part of ONNX from operator set 10 on; before, ONNX Runtime has its own.
        dtype, scale, zero = grid
        inputs = [x, self.const(scale), self.const(zero, TYPES[dtype][0])]
        return self.node(op, inputs, domain="" if self.opset >= 10 else "com.microsoft")

    def weights(self, *dims):
        q = self.const(self.random.integers(-127, 128, dims), np.int8)
        return self.on_grid("DequantizeLinear", q, ("int8", 0.02, 0))

    def save(self, path, shape, output, element):
        graph = helper.make_graph(
            self.nodes,
            "attributes",
            [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, *shape])],
            [helper.make_tensor_value_info(output, element, None)],
            self.constants,
        )
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets)
        model.ir_version = 8 if self.opset < 21 else 10
        onnx.save(model, path)


def numbers(*values):
    return lambda n: [n.const(values, I64)]


def floats(*lists):
    return lambda n: [n.const(values) for values in lists]


def joined(*parts):
    return lambda n: [name for part in parts for name in part(n)]


def skipped(n):
    return [""]


WINDOW = [
    {},
    dict(strides=[2, 1]),
    dict(pads=[1, 0, 1, 1]),
    dict(auto_pad="SAME_UPPER", strides=[2, 2]),
    dict(auto_pad="SAME_LOWER", strides=[2, 3]),
    dict(auto_pad="VALID"),
    dict(dilations=[2, 2]),
]
POOL = [
    dict(kernel_shape=[2, 3], **a)
    for a in WINDOW
    + [
        dict(ceil_mode=1, strides=[2, 3], pads=[0, 1, 1, 1]),
        dict(ceil_mode=1, strides=[2, 2], dilations=[2, 2]),
        dict(storage_order=1),
        dict(count_include_pad=1, pads=[1, 1, 1, 1]),
        dict(count_include_pad=1, ceil_mode=1, strides=[2, 2], pads=[1, 1, 1, 1]),
    ]
]
AXES = [1, -1, 2, 3]
SIDES = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "tf_half_pixel_for_nn", "tf_crop_and_resize", "half_pixel_symmetric"]
RESIZE = [dict(mode="nearest", coordinate_transformation_mode=side, nearest_mode=nearest) for side in SIDES for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")]
RESIZE += [dict(mode="nearest", **a) for a in (dict(antialias=1), dict(exclude_outside=1), dict(extrapolation_value=3.0), dict(cubic_coeff_a=-0.5))]
REDUCED = [dict(axes=[a], keepdims=k) for a in AXES for k in (0, 1)]
KEPT = [{}, dict(keepdims=0), dict(noop_with_empty_axes=1)]

# Operator, shape, sets of attributes, further inputs, and which versions, the outputs and the grid behind it where they are not the usual.
TABLE = [
    ("Conv", IMAGE, [*WINDOW, dict(kernel_shape=[2, 3])], lambda n: [n.weights(4, 3, 2, 3)], dict(to=("int8", 0.1, 3))),
    ("Conv", IMAGE, [dict(group=3)], lambda n: [n.weights(6, 1, 2, 3)], dict(to=("int8", 0.1, 3))),
    (
        "ConvTranspose",
        IMAGE,
        [*WINDOW, dict(kernel_shape=[2, 3]), dict(output_padding=[1, 1], strides=[2, 2]), dict(output_shape=[13, 17], strides=[2, 2])],
        lambda n: [n.weights(3, 4, 2, 3)],
        dict(to=("int8", 0.1, 3)),
    ),
    ("ConvTranspose", IMAGE, [dict(group=3)], lambda n: [n.weights(3, 1, 2, 3)], dict(to=("int8", 0.1, 3))),
    ("MaxPool", IMAGE, POOL, floats(), {}),
    ("AveragePool", IMAGE, POOL, floats(), {}),
    ("Gemm", VECTOR, [{}, dict(alpha=0.5), dict(beta=2.0)], lambda n: [n.weights(24, 5), n.const([1, 2, -1, 0.5, 0])], {}),
    ("Gemm", VECTOR, [dict(transB=1)], lambda n: [n.weights(5, 24), n.const([1, 2, -1, 0.5, 0])], {}),
    ("Gemm", VECTOR, [dict(transA=1)], lambda n: [n.weights(1, 5), n.const([1, 2, -1, 0.5, 0])], {}),
    (
        "BatchNormalization",
        IMAGE,
        [{}, dict(epsilon=0.1), dict(momentum=0.5), dict(training_mode=0), dict(spatial=1), dict(spatial=0)],
        floats([1, -0.5, 2], [0, 0.5, 1], [0.1, 0.2, 0.3], [1, 0.5, 2]),
        {},
    ),
    ("LeakyRelu", VECTOR, [{}, dict(alpha=0.3), dict(alpha=-0.5)], floats(), {}),
    ("Elu", VECTOR, [{}, dict(alpha=2.5)], floats(), {}),
    ("Selu", VECTOR, [{}, dict(alpha=1.0, gamma=2.0)], floats(), {}),
    ("Celu", VECTOR, [{}, dict(alpha=0.5)], floats(), {}),
    ("HardSigmoid", VECTOR, [{}, dict(alpha=0.3, beta=0.1)], floats(), {}),
    ("ThresholdedRelu", VECTOR, [{}, dict(alpha=0.3), dict(alpha=-1.0)], floats(), {}),
    ("Shrink", VECTOR, [{}, dict(lambd=1.0, bias=0.3)], floats(), {}),
    ("Gelu", VECTOR, [{}, dict(approximate="tanh")], floats(), {}),
    ("Softmax", IMAGE, [dict(axis=a) for a in AXES], floats(), dict(to=SHARES)),
    ("LogSoftmax", VECTOR, [dict(axis=1)], floats(), dict(to=LOGS)),
    ("ArgMax", VECTOR, [dict(axis=1), dict(axis=-1, keepdims=0), dict(axis=1, select_last_index=1)], floats(), dict(to=None)),
    ("Concat", IMAGE, [dict(axis=a) for a in AXES], lambda n: [n.on_grid("DequantizeLinear", "x", U8)], {}),
    ("Flatten", IMAGE, [{}, dict(axis=1), dict(axis=-1)], floats(), {}),
    ("Gather", IMAGE, [dict(axis=a) for a in AXES], lambda n: [n.const([[0, 1], [2, -1]], I64)], {}),
    *[(op, IMAGE, REDUCED, floats(), dict(below=18)) for op in ("ReduceMean", "ReduceMax", "ReduceMin")],
    *[(op, IMAGE, KEPT, numbers(-1), dict(since=18)) for op in ("ReduceMean", "ReduceMax", "ReduceMin")],
    ("ReduceSum", IMAGE, REDUCED, floats(), dict(below=13, to=("int8", 0.3, 0))),
    ("ReduceSum", IMAGE, KEPT, numbers(2), dict(since=13, to=("int8", 0.3, 0))),
    ("Split", [4, 6, 8], [dict(axis=2, split=[2, 4]), dict(axis=-1)], floats(), dict(below=13, outputs=2)),
    ("Split", [4, 6, 8], [dict(axis=2)], numbers(4, 2), dict(since=13, outputs=2)),
    ("Split", [4, 7, 8], [dict(axis=2, num_outputs=3)], floats(), dict(since=18, outputs=3)),
    ("DepthToSpace", [8, 3, 4], [dict(blocksize=2, mode=m) for m in ("DCR", "CRD")] + [dict(blocksize=2)], floats(), {}),
    ("SpaceToDepth", [2, 4, 6], [dict(blocksize=2)], floats(), {}),
    ("Pad", IMAGE, [dict(mode=m, pads=[0, 0, 1, 2, 0, 0, 2, 1]) for m in ("constant", "reflect", "edge")], floats(), dict(below=11)),
    ("Pad", IMAGE, [dict(value=1.25, pads=[0, 1, 1, 2, 0, 0, 2, 1])], floats(), dict(below=11)),
    ("Pad", IMAGE, [dict(mode=m) for m in ("constant", "reflect", "edge", "wrap")], numbers(0, 0, 1, 2, 0, 0, 2, 1), dict(since=11)),
    ("Transpose", IMAGE, [{}, dict(perm=[0, 2, 3, 1])], floats(), {}),
    ("Squeeze", [3, 1, 8], [dict(axes=[2])], floats(), dict(below=13)),
    ("Unsqueeze", SEQUENCE, [dict(axes=[1, -1])], floats(), dict(below=13)),
    ("Reshape", IMAGE, [{}, dict(allowzero=1)], numbers(1, -1, 8), {}),
    ("Slice", IMAGE, [dict(starts=[1, -4], ends=[3, 100], axes=[2, 3]), dict(starts=[0, 1], ends=[1, 2])], floats(), dict(below=10)),
    ("Clip", VECTOR, [dict(min=-1.0, max=2.0), dict(max=1.0)], floats(), dict(below=11)),
    ("Upsample", IMAGE, [dict(mode="nearest", scales=[1.0, 1.0, 2.0, 3.0])], floats(), dict(below=9)),
    ("Upsample", IMAGE, [dict(mode="nearest"), dict(mode="linear")], floats([1, 1, 2, 1.5]), dict(since=9)),
    ("Resize", IMAGE, [dict(mode="nearest"), dict(mode="linear")], floats([1, 1, 2, 0.5]), dict(below=11)),
    ("Resize", IMAGE, RESIZE, joined(lambda n: [n.const([])], floats([1, 1, 2, 1.5])), dict(since=11)),
    (
        "Resize",
        IMAGE,
        [dict(mode="nearest", axes=[2, 3], keep_aspect_ratio_policy=p) for p in ("stretch", "not_larger", "not_smaller")],
        joined(skipped, skipped, numbers(9, 16)),
        dict(since=18),
    ),
    ("Dropout", VECTOR, [{}, dict(ratio=0.3), dict(seed=3)], floats(), {}),
]
# Read by the importer's own tests: of constants, and of the pair around every node here.
ELSEWHERE = {"Cast", "Constant", "ConstantOfShape", "ConvInteger", "DequantizeLinear", "QLinearConv", "QuantizeLinear", "Shape"}


def versions(op, since=OLDEST, below=NEWEST + 1):
    """Operator sets at which the operator changed, the oldest supported one with them."""
    all_of = [s.since_version for s in defs.get_all_schemas_with_history() if s.name == op and s.domain == ""]
    oldest = max(since, min(all_of))
    return sorted({max(oldest, v) for v in all_of if max(oldest, v) < below})


def has(op, version):
    return defs.get_schema(op, version, "").attributes


def networks():
    for op, shape, sets, more, how in TABLE:
        for version in versions(op, how.get("since", OLDEST), how.get("below", NEWEST + 1)):
            for attributes in sets:
                if all(name in has(op, version) for name in attributes):
                    yield op, shape, attributes, more, how, version


def write(path, op, shape, attributes, more, how, version):
    net = Net(version)
    x = net.on_grid("DequantizeLinear", "x", U8)
    y = net.node(op, [x, *more(net)], how.get("outputs", 1), **attributes)
    grid = how.get("to", S8)
    if grid is None:
        return net.save(path, shape, y, TensorProto.INT64)
    net.save(path, shape, net.on_grid("QuantizeLinear", y, grid), TYPES[grid[0]][1])


def untried(operators):
    tried = {(op, version, name) for op, _, attributes, _, _, version in networks() for name in attributes}
    for op in sorted(set(operators) - ELSEWHERE):
        if defs.has(op, NEWEST):
            for version in versions(op):
                yield from (f"{op}.{version}.{name}" for name in has(op, version) if (op, version, name) not in tried)


def main(folder, every, operators):
    os.makedirs(folder, exist_ok=True)
    for i, network in enumerate(networks()):
        if i % every == 0:
            write(os.path.join(folder, f"{network[0]}.{network[5]}.{i}.onnx"), *network)
    for name in untried(operators or [op for op, *_ in TABLE]):
        print(name)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1, sys.argv[3:])
