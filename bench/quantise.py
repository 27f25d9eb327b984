"""intransit quantise beside ONNX Runtime's quantize_static, on float networks made here.

    python3 bench/quantise.py [--write]

Trains five networks with PyTorch and scikit-learn on data sets that come with scikit-learn, and takes examples/traffic-large.onnx.
Each is quantised on its training rows by both; accuracy is that of ONNX Runtime on rows that neither saw. Needs onnx,
onnxruntime, torch, scikit-learn and numpy. --write puts the table into bench/quantise.md.
"""

import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
torch.manual_seed(1)
torch.set_num_threads(1)


def trained(net, x, y, epochs):
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(epochs):
        for at in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(x[at]), y[at]).backward()
            optimiser.step()
    return net.eval()


class Residual(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = torch.nn.Linear(64, 32), torch.nn.Linear(32, 32), torch.nn.Linear(32, 10)

    def forward(self, x):
        h = torch.relu(self.first(x))
        return self.last(torch.relu(h + torch.nn.functional.hardswish(self.second(h))))


def convolutional():
    n = torch.nn
    return n.Sequential(
        n.Conv2d(1, 8, 3, padding=1, bias=False), n.BatchNorm2d(8), n.ReLU(), n.MaxPool2d(2),
        n.Conv2d(8, 16, 3, padding=1, groups=8, bias=False), n.BatchNorm2d(16), n.ReLU6(), n.Conv2d(16, 16, 1), n.ReLU(),
        n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(16, 10))


def by_torch(folder, name, net, x, y, epochs):
    tx, vx, ty, vy = train_test_split(x.astype(np.float32), y, test_size=0.4, random_state=0)
    trained(net, torch.tensor(tx), torch.tensor(ty), epochs)
    path = f"{folder}/{name}.onnx"
    torch.onnx.export(net, (torch.tensor(tx[:1]),), path, input_names=["x"], output_names=["y"], opset_version=17,
                      dynamic_axes={"x": {0: "N"}, "y": {0: "N"}}, dynamo=False)
    return path, tx, ty, vx, vy


def by_sklearn(folder, name, data, hidden):
    """A StandardScaler and an MLP, as a pipeline's converter writes them: Sub, Div, then MatMul and Add."""
    x, y = data(return_X_y=True)
    tx, vx, ty, vy = train_test_split(x.astype(np.float32), y, test_size=0.4, random_state=0)
    scaler = StandardScaler().fit(tx)
    mlp = MLPClassifier(hidden, max_iter=800, random_state=0).fit(scaler.transform(tx), ty)
    constants, nodes = [], []

    def const(values):
        constants.append(numpy_helper.from_array(np.asarray(values, np.float32), f"c{len(constants)}"))
        return constants[-1].name

    def node(op, *inputs):
        nodes.append(helper.make_node(op, list(inputs), [f"{op.lower()}{len(nodes)}"]))
        return nodes[-1].output[0]

    at = node("Div", node("Sub", "x", const(scaler.mean_)), const(scaler.scale_))
    for i, (w, b) in enumerate(zip(mlp.coefs_, mlp.intercepts_)):
        if w.shape[1] == 1:  # Of two classes it keeps the difference.
            w, b = np.hstack([-w / 2, w / 2]), np.hstack([-b / 2, b / 2])
        at = node("Add", node("MatMul", at, const(w)), const(b))
        if i + 1 < len(mlp.coefs_):
            at = node("Relu", at)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, name, [info("x", TensorProto.FLOAT, ["N", x.shape[1]])], [info(at, TensorProto.FLOAT, None)], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path = f"{folder}/{name}.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    return path, tx, ty, vx, vy


def traffic():
    file = lambda name: os.path.join(ROOT, "examples", name)
    x = np.fromfile(file("traffic-mlp.x.bin"), np.uint8).reshape(-1, 16)
    y = np.fromfile(file("traffic-mlp.y.bin"), np.uint8)
    return file("traffic-large.onnx"), x[::2], y[::2], x[1::2], y[1::2]


class Rows(CalibrationDataReader):
    def __init__(self, name, rows):
        self.name, self.rows = name, iter(rows)

    def get_next(self):
        row = next(self.rows, None)
        return None if row is None else {self.name: row[None]}


def accuracy(path, x, y):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    dtype = {"tensor(uint8)": np.uint8, "tensor(int8)": np.int8}.get(session.get_inputs()[0].type, np.float32)
    answers = np.concatenate([session.run(None, {name: row[None].astype(dtype)})[0].astype(np.float32) for row in x])
    return float((answers.reshape(len(x), -1).argmax(1) == y).mean())


def compare(name, path, tx, ty, vx, vy, folder):
    static = f"{folder}/{name}.static.onnx"
    input_name = onnx.load(path).graph.input[0].name
    quantize_static(path, static, Rows(input_name, tx[:500]), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QInt8, weight_type=QuantType.QInt8)
    np.save(f"{folder}/x.npy", tx[:500])
    np.asarray(ty[:500], np.uint8).tofile(f"{folder}/y.bin")
    own = f"{folder}/{name}.own.onnx"
    command = ["npx", "tsx", "src/cli/main.ts", "quantise", path, "--calibrate", f"{folder}/x.npy", "--labels", f"{folder}/y.bin", "-o", own, "--json"]
    told = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    scores = [accuracy(p, vx, vy) for p in (path, static, own)]
    return [name, len(vx), *[f"{100 * s:.2f}" for s in scores], f"{100 * (scores[2] - scores[1]):+.2f}", told["method"]]


def table():
    digits, labels = load_digits(return_X_y=True)
    n = torch.nn
    with tempfile.TemporaryDirectory() as folder:
        mlp = n.Sequential(n.Linear(64, 48), n.ReLU(), n.Linear(48, 24), n.Tanh(), n.Linear(24, 10))
        networks = [
            ("traffic-large (PyTorch, uint8 rows)", traffic()),
            ("digits-mlp-tanh (PyTorch)", by_torch(folder, "mlp", mlp, digits / 16, labels, 30)),
            ("digits-residual-hardswish (PyTorch)", by_torch(folder, "residual", Residual(), digits / 16, labels, 30)),
            ("digits-cnn-batchnorm (PyTorch)", by_torch(folder, "cnn", convolutional(), digits.reshape(-1, 1, 8, 8) / 16, labels, 25)),
            ("cancer-scaler-mlp (scikit-learn)", by_sklearn(folder, "cancer", load_breast_cancer, (24, 12))),
            ("wine-scaler-mlp (scikit-learn)", by_sklearn(folder, "wine", load_wine, (20,))),
        ]
        return [compare(name.split(" ")[0], *made, folder) + [name] for name, made in networks]


def main():
    rows = table()
    lines = ["| network | test rows | float | quantize_static | intransit quantise | difference | ranges |", "|---|---|---|---|---|---|---|"]
    lines += [f"| {full} | {count} | {a} % | {b} % | {c} % | {d} | {method} |" for _, count, a, b, c, d, method, full in rows]
    text = "\n".join(lines) + "\n"
    print(text)
    if "--write" in sys.argv:
        head = (
            "# quantise beside quantize_static\n\n"
            "Made by `python3 bench/quantise.py --write`. Accuracy in ONNX Runtime on rows that neither saw; both are calibrated on the same\n"
            "500 rows, int8 activations and weights a channel. The difference is in points; a test row is worth 0.03 to 1.4 of them.\n\n"
        )
        with open(os.path.join(ROOT, "bench", "quantise.md"), "w") as file:
            file.write(head + text)


if __name__ == "__main__":
    main()
