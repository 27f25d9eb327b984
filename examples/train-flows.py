"""
Trains a small network on the matrix that `intransit features` writes, and saves it as float ONNX.

    python3 train-flows.py X.npy OUT.onnx --with torch|sklearn [--calibrate ROWS.npy]

Rows without a label are left out; each class weighs the same. The network reads the features as they are, 0 to 255.
"""
import argparse

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HIDDEN = (32, 16)


def read(file):
    x = np.load(file)
    y = np.load(file.replace('.npy', '.y.npy'))
    return x[y >= 0].astype(np.float32), y[y >= 0].astype(np.int64)


def with_torch(x, y, classes, out):
    import torch

    torch.manual_seed(1)
    sizes = (x.shape[1], *HIDDEN, classes)
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers += [torch.nn.Linear(a, b)] + ([torch.nn.ReLU()] if i < len(HIDDEN) else [])

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(*layers)

        def forward(self, rows):
            return self.layers(rows / 255.0)

    network = Network()
    weights = torch.tensor(len(y) / (np.bincount(y, minlength=classes).clip(1) * classes), dtype=torch.float32)
    loss_of = torch.nn.CrossEntropyLoss(weight=weights)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3, weight_decay=1e-4)
    rows, labels = torch.from_numpy(x), torch.from_numpy(y)
    for _ in range(30):
        for batch in torch.randperm(len(rows)).split(256):
            optimiser.zero_grad()
            loss_of(network(rows[batch]), labels[batch]).backward()
            optimiser.step()
    names = {'input_names': ['features'], 'output_names': ['scores'], 'dynamic_axes': {'features': {0: 'N'}}}
    torch.onnx.export(network, rows[:1], out, dynamo=False, opset_version=17, **names)


def with_sklearn(x, y, classes, out):
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(x)
    # Each class as often as the largest: MLPClassifier has no weights.
    rng = np.random.default_rng(1)
    most = np.bincount(y).max()
    even = np.concatenate([rng.choice(np.flatnonzero(y == c), most) for c in np.unique(y)])
    network = MLPClassifier(HIDDEN, max_iter=30, random_state=1).fit(scaler.transform(x[even]), y[even])
    if len(network.classes_) != classes:
        raise SystemExit(f'the rows name {len(network.classes_)} of {classes} classes')
    tensors = [
        numpy_helper.from_array(scaler.mean_.astype(np.float32), 'mean'),
        numpy_helper.from_array(scaler.scale_.astype(np.float32), 'deviation'),
    ]
    nodes = [
        helper.make_node('Sub', ['features', 'mean'], ['centred']),
        helper.make_node('Div', ['centred', 'deviation'], ['scaled']),
    ]
    value = 'scaled'
    for i, (weights, bias) in enumerate(zip(network.coefs_, network.intercepts_)):
        tensors += [
            numpy_helper.from_array(weights.astype(np.float32), f'weights{i}'),
            numpy_helper.from_array(bias.astype(np.float32), f'bias{i}'),
        ]
        last = i == len(network.coefs_) - 1
        sums = 'scores' if last else f'sums{i}'
        nodes.append(helper.make_node('Gemm', [value, f'weights{i}', f'bias{i}'], [sums]))
        if not last:
            nodes.append(helper.make_node('Relu', [sums], [f'hidden{i}']))
            value = f'hidden{i}'
    graph = helper.make_graph(
        nodes,
        'flows',
        [helper.make_tensor_value_info('features', TensorProto.FLOAT, ['N', x.shape[1]])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', classes])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    onnx.save(model, out)


parser = argparse.ArgumentParser()
parser.add_argument('rows')
parser.add_argument('out')
parser.add_argument('--with', dest='framework', choices=['torch', 'sklearn'], required=True)
parser.add_argument('--classes', type=int, help='how many there are, if not all occur in the rows')
parser.add_argument('--calibrate', help='writes rows to calibrate the quantisation with')
a = parser.parse_args()
x, y = read(a.rows)
classes = a.classes or int(y.max()) + 1
(with_torch if a.framework == 'torch' else with_sklearn)(x, y, classes, a.out)
if a.calibrate:
    chosen = np.random.default_rng(0).permutation(len(x))[:2000]
    np.save(a.calibrate, x[chosen])
    np.save(a.calibrate.replace('.npy', '.y.npy'), y[chosen].astype(np.int8))
