"""
Accuracy of flow models, split by capture: trained on captures of a folder that are not in examples/captures, tried on those
that are. Prints the table of docs/train-your-own.md: the gallery's model, the same features in float networks and in trees.

    python3 bench/flow-accuracy.py FOLDER      (FOLDER: captures and labels.csv, as examples/captures)
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score
from sklearn.tree import DecisionTreeClassifier

KEPT_BACK = 'examples/captures'
CLI = ['npx', 'tsx', 'src/cli/main.ts']
CLASSES = 7

parser = argparse.ArgumentParser()
parser.add_argument('folder')
folder = parser.parse_args().folder
captures = lambda where: sorted(name for name in os.listdir(where) if name.endswith(('.pcap', '.pcapng')))
kept_back = captures(KEPT_BACK)
training = [name for name in captures(folder) if name not in kept_back]
temporary = tempfile.mkdtemp()
at = lambda name: os.path.join(temporary, name)


def run(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def matrix(where, names, out):
    files = [os.path.join(where, name) for name in names]
    run(*CLI, 'features', 'traffic-16', '-o', at(out), '--labels', f'{where}/labels.csv', '--pcap', *files)
    x, y = np.load(at(out)), np.load(at(out.replace('.npy', '.y.npy')))
    return x[y >= 0], y[y >= 0]


def network(file, x):
    session = onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider'])
    given = session.get_inputs()[0]
    rows = x.astype(np.uint8 if 'uint8' in given.type else np.float32)
    batch = len(rows) if not isinstance(given.shape[0], int) else 1
    scores = [session.run(None, {given.name: rows[i : i + batch]})[0] for i in range(0, len(rows), batch)]
    return np.concatenate(scores).argmax(axis=1)


x, y = matrix(folder, training, 'train.npy')
tried, wanted = matrix(KEPT_BACK, kept_back, 'test.npy')
print(f'{len(x)} rows of {len(training)} captures; tried on {len(tried)} of {len(kept_back)}', file=sys.stderr)

rows = [('the gallery\'s model, int8 (`gallery/traffic-16.onnx`)', network('gallery/traffic-16.onnx', tried))]
for name, title in (('sklearn', 'scikit-learn'), ('torch', 'PyTorch')):
    run(sys.executable, 'examples/train-flows.py', at('train.npy'), at(f'{name}.onnx'), '--with', name,
        '--classes', str(CLASSES), '--calibrate', at('calibrate.npy'))
    rows.append((f'the same features, a float network of {title}', network(at(f'{name}.onnx'), tried)))
    run(*CLI, 'quantise', at(f'{name}.onnx'), '--calibrate', at('calibrate.npy'), '-o', at(f'{name}-int8.onnx'))
    rows.append((f'that network, int8', network(at(f'{name}-int8.onnx'), tried)))
for title, trees in (
    ('one tree', DecisionTreeClassifier(class_weight='balanced', random_state=1)),
    ('a forest of 100 trees', RandomForestClassifier(100, class_weight='balanced', random_state=1)),
    ('100 extremely random trees', ExtraTreesClassifier(100, class_weight='balanced', random_state=1)),
):
    rows.append((f'the same features, {title}', trees.fit(x, y).predict(tried)))

print('| of the packets of captures kept back | accuracy | macro-F1 |')
print('|---|---|---|')
for title, found in rows:
    accuracy, f1 = accuracy_score(wanted, found), f1_score(wanted, found, average='macro')
    print(f'| {title} | {accuracy:.3f} | {f1:.3f} |')
