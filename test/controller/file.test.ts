import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type DeploymentInput,
  deploy,
  deploymentSchemaText,
  parseDeployment,
} from '../../src/controller/index.ts';
import { deviceLayers } from '../../src/controller/layers.ts';
import type { Model } from '../../src/model/model.ts';
import { intransit, testFolder } from '../support/io.ts';
import { describeWithTools } from '../support/machine.ts';
import { modelOf } from '../support/models.ts';
import { example, smallModel, writeDeployment, writeModel } from './files.ts';
import { memoryNodes } from './memory-nodes.ts';
import { codes, failureOf } from './support.ts';

const folder = testFolder();
writeModel(folder, 'model.json', smallModel());
const device = { name: 's1', kind: 'v1model' as const, address: '127.0.0.1:1', layers: '0..1' };

const messages = async (change: object): Promise<string[]> => {
  const file = writeDeployment(folder, { model: { file: 'model.json' }, devices: [device], ...change });
  const error = await failureOf(deploy(file, { connectTimeoutMs: 100 }));
  return error.diagnostics.map((d) => d.message);
};
const withDevice = (change: object) => messages({ devices: [{ ...device, ...change }] });

describe('a deployment file', () => {
  test.each([
    [{ kind: 'tofino' }, 'devices[0].kind: expected one of v1model, xdp'],
    [{ layers: '0-1' }, "devices[0].layers: expected layers 'A..B' (B is not computed)"],
    [
      { layers: '1..1' },
      "devices[0].layers: expected a range of the model's layers, which are 0..2, not 1..1",
    ],
    [
      { layers: '0..3' },
      "devices[0].layers: expected a range of the model's layers, which are 0..2, not 0..3",
    ],
    [{ address: undefined }, 'devices[0].address: expected host:port, [host]:port or unix:/path'],
    [{ deviceId: 0 }, 'devices[0].deviceId: expected a whole number in 1..9007199254740991'],
    [{ zones: [0] }, 'devices[0].zones[0]: expected a whole number in 1..255'],
    [{ speed: 3 }, 'devices[0]: there is no field speed here'],
    [
      { routes: [{ prefix: '10.0.0.1/8', port: 1 }] },
      'devices[0].routes[0].prefix: expected an IPv4 prefix such as 10.0.0.0/8, without bits behind it',
    ],
    [{ routes: [{ prefix: '10.0.0.0/8' }] }, 'devices[0].routes[0]: expected either port or drop'],
    [
      { steering: [{ nextLayer: 1, port: 1, sourceMac: '02:00:00:00:00:01' }] },
      'devices[0].steering[0]: expected sourceMac and destinationMac, or neither',
    ],
    [
      {
        ports: [
          { ingress: 1, egress: 2 },
          { ingress: 1, egress: 3 },
        ],
      },
      'devices[0].ports[1].ingress: expected one of its own: 1 is there twice',
    ],
    [
      { ports: [{ ingress: 511, egress: 2 }] },
      'devices[0].ports[0].ingress: expected a whole number in 0..510',
    ],
    [{ tls: { cert: 'a.pem' } }, 'devices[0].tls: expected cert and key, or neither'],
    [
      { threshold: 5 },
      'devices[0].threshold: 0: its last layer "first" is no verdict, which alone has a margin',
    ],
    [
      { layers: undefined, threshold: 5 },
      'devices[0].threshold: 0: it has no layers, and so no verdict, which alone has a margin',
    ],
  ])('%j is refused with its place', async (change, message) => {
    expect(await withDevice(change)).toEqual([message]);
  });

  test('what it refers to must be there', async () => {
    expect(await messages({ model: { file: 'none.onnx' } })).toEqual([expect.stringContaining('ENOENT')]);
    expect(await messages({ plan: 'none.json' })).toEqual([expect.stringContaining('ENOENT')]);
    expect(await withDevice({ tls: { ca: 'none.pem' } })).toEqual([expect.stringContaining('ENOENT')]);
    expect(codes(await failureOf(deploy(join(folder, 'none.json'))))).toEqual(['file-unreadable']);
    const broken = join(folder, 'broken.json');
    writeFileSync(broken, '{ "format": ');
    expect(codes(await failureOf(deploy(broken)))).toEqual(['json-syntax']);
  });

  test('two devices do not share a name or an id', async () => {
    expect(await messages({ devices: [device, { ...device, layers: '1..2' }] })).toEqual([
      'devices[1].name: expected one of its own: s1 is there twice',
      'devices[1].address: expected one of its own: device 1 at 127.0.0.1:1 is there twice',
    ]);
  });

  test.each([
    ['127.0.0.1:9559', 'localhost:9559'],
    ['switch.example:9559', 'Switch.Example.:09559'],
    ['unix:/run/x/./a.sock', 'unix:///run/x/a.sock'],
  ])('one device is not two: %s and %s', async (address, other) => {
    const devices = [
      { ...device, address },
      { ...device, name: 's2', layers: '1..2', address: other },
    ];
    expect(await messages({ devices })).toEqual([
      expect.stringMatching(
        /^devices\[1\]\.address: expected one of its own: device 1 at .* is there twice$/,
      ),
    ]);
  });

  test('layers may be missing, and may be there twice: a warning where that has a meaning', () => {
    const three: Model = modelOf(
      { element: 'uint8', scale: 0.05, zeroPoint: 0, shape: [3] },
      ['a', 'b', 'c'].map((name) => ({
        kind: 'dense',
        name,
        weights: [
          [1, 2, 3],
          [4, 5, 6],
          [7, 8, 9],
        ],
        weightScale: 0.01,
        output: { element: 'uint8', scale: 0.1, zeroPoint: 0 },
      })),
    );
    const warnings = (...layers: (string | undefined)[]) => {
      const devices = layers.map((range, i) => ({
        ...device,
        name: `s${i}`,
        deviceId: i + 1,
        layers: range,
      }));
      const file: DeploymentInput = {
        format: 'intransit-deployment',
        version: 1,
        model: { file: 'm' },
        devices,
      };
      return deviceLayers(parseDeployment(JSON.stringify(file), 'd.json'), three).warnings.map(
        (d) => d.message,
      );
    };
    expect(warnings('0..1', '1..3')).toEqual([]);
    expect(warnings('0..2', '0..2', '2..')).toEqual([]);
    expect(warnings('0..2')).toEqual(['no device computes c: they are left to a worker']);
    expect(warnings('0..1', undefined, '1..3')).toEqual([]);
    expect(warnings(undefined)).toEqual(['no device computes a, b, c: they are left to a worker']);
    expect(warnings('0..2', '1..3')).toEqual([
      'device s1 begins at layer 1, to which no other device of this file computes',
    ]);
  });

  test('warns once of a tensor that no packet of the path carries, and names three ways out', () => {
    const wide = modelOf({ element: 'uint8', shape: [2], scale: 0.1, zeroPoint: 0 }, [
      {
        kind: 'dense',
        name: 'a',
        weights: Array(40).fill(1),
        weightScale: 0.01,
        output: { element: 'uint8', scale: 0.1, zeroPoint: 0 },
      },
      { kind: 'argmax', name: 'b' },
    ]);
    const devices = [
      { ...device, layers: '0..1' },
      { ...device, name: 's2', address: '127.0.0.1:2', layers: '1..2' },
    ];
    const file: DeploymentInput = {
      format: 'intransit-deployment',
      version: 1,
      model: { file: 'm' },
      mtu: 70,
      devices,
    };
    const { warnings } = deviceLayers(parseDeployment(JSON.stringify(file), 'd.json'), wide);
    expect(warnings.map((d) => [d.place.layer, d.message])).toEqual([
      ['a', 'the output tensor makes a packet of 80 bytes, the MTU is 70'],
    ]);
    for (const way of ['jumbo frames', '--layers A..B', 'worker']) expect(warnings[0]!.remedy).toContain(way);
  });

  test('its schema is the one in schema/', () => {
    const file = join(import.meta.dirname, '../../schema/deployment.schema.json');
    expect(readFileSync(file, 'utf8')).toBe(deploymentSchemaText());
  });
});

describeWithTools(['p4c-bm2-ss', 'clang'], 'docs/deploy.md', () => {
  const openNode = memoryNodes();

  test('the example is that of examples/, and works as it is but for the addresses', async () => {
    const text = readFileSync(join(import.meta.dirname, '../../docs/deploy.md'), 'utf8');
    const shown = /```json\n([\s\S]*?)```/.exec(text)![1]!;
    expect(shown).toBe(readFileSync(example('deployments/digits.json'), 'utf8'));
    cpSync(example('digits-mlp.onnx'), join(folder, 'digits-mlp.onnx'));
    const spec = JSON.parse(shown);
    for (const d of spec.devices) d.address = (await openNode()).address;
    const file = writeDeployment(join(folder, 'deployments'), spec, 'digits.json');
    expect((await intransit('deploy', file, '--dry-run')).code).toBe(0);
    const first = await intransit('deploy', file);
    expect([first.code, first.out]).toEqual([0, expect.stringContaining('deployed on 2 devices')]);
    const second = await intransit('deploy', file);
    expect([second.code, second.out]).toEqual([0, expect.stringContaining('nothing was written')]);
  });
});
