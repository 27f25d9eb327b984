import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseDeployment } from '../../../src/controller/index.ts';
import { programFor } from '../../../src/controller/program.ts';
import { importModel } from '../../../src/import/index.ts';
import { registerTarget, targetNames } from '../../../src/targets/registry.ts';
import { intransit, testFolder } from '../../support/io.ts';
import { psaTarget } from './target.ts';

/** Everything goes through the same functions as the targets of the project: nothing but this folder knows of `psa`. */
const MODEL = 'examples/digits-mlp.onnx';
const folder = testFolder();

beforeAll(() => registerTarget(psaTarget));

describe('a target that is registered by a test', () => {
  it('has a name of its own', () => {
    expect(targetNames()).toEqual(['xdp', 'v1model', 'tna', 'psa']);
    expect(() => registerTarget(psaTarget)).toThrow('registered already');
  });

  it('is compiled', async () => {
    const out = join(folder, 'out');
    const { code, out: text } = await intransit(
      ...['compile', MODEL, '-o', out, '--target', 'psa', '--pipe', 'egress', '--json'],
    );
    expect(code).toBe(0);
    expect(JSON.parse(text).files).toEqual(['manifest.json', 'program.bin', 'program.p4']);
    expect(readFileSync(join(out, 'program.bin'), 'utf8')).toMatch(/^\/\/ egress\n/);
    expect(JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8'))).toMatchObject({ pipe: 'egress' });
  });

  it('is inspected, its columns and its own needs', async () => {
    const { code, out } = await intransit('inspect', MODEL, '--target', 'psa', '--layers', '1..', '--json');
    expect(code).toBe(0);
    const document = JSON.parse(out);
    expect(document.target).toBe('psa');
    expect(document.plan).toHaveLength(1);
    expect(document.needs).toEqual([expect.objectContaining({ resource: 'neurons', need: 10, limit: 64 })]);
    const { out: text } = await intransit('inspect', MODEL, '--target', 'psa', '--layers', '1..');
    expect(text).toMatch(/left to another node\n/);
    expect(text).toMatch(/block 0 of ingress\n/);
  });

  it('refuses what it has no layer for, in the words of all targets', async () => {
    const { code, err } = await intransit(
      'compile',
      'examples/digits-cnn.onnx',
      '-o',
      folder,
      '--target',
      'psa',
    );
    expect(code).toBe(1);
    expect(err).toMatch(/conv2d.*psa.*dense layers alone/);
  });

  it('has its options to itself', async () => {
    const wrong = ['compile', MODEL, '-o', folder, '--target'];
    expect(await intransit(...wrong, 'xdp', '--pipe', 'egress')).toMatchObject({ code: 2 });
    expect(await intransit(...wrong, 'psa', '--pipe', 'both')).toMatchObject({ code: 2 });
  });

  it('is verified by its engine', async () => {
    const { code, out } = await intransit(
      ...[
        'verify',
        MODEL,
        '--on',
        'psa-switch',
        '--input',
        'examples/digits-mlp.x.bin',
        '--rows',
        '5',
        '--json',
      ],
    );
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ 'psa-switch': { rows: 5, elements: 50, mismatches: 0 } });
  });

  it('is a kind of node for the planner', async () => {
    const file = join(folder, 'topology.json');
    const nodes = [
      { name: 'host', kind: 'edge' },
      { name: 'switch', kind: 'psa' },
    ];
    const links = [{ from: 'host', to: 'switch', latencyUs: 1, bandwidthMbps: 1000 }];
    const head = { format: 'intransit-topology', version: 1, ingress: 'host', egress: 'switch' };
    writeFileSync(file, JSON.stringify({ ...head, nodes, links }));
    const { code, out } = await intransit('plan', MODEL, '--topology', file, '--json');
    expect(code).toBe(0);
    const steps = JSON.parse(out).steps.filter((s: { step: string }) => s.step === 'compute');
    expect(steps).toEqual([expect.objectContaining({ node: 'switch', kind: 'psa' })]);
  });

  it('is a kind of device for the controller', async () => {
    const device = { name: 's1', kind: 'psa', address: '127.0.0.1:1' };
    const deployment = { format: 'intransit-deployment', version: 1, model: { file: 'm.json' } };
    const text = JSON.stringify({ ...deployment, devices: [device] });
    expect(parseDeployment(text, join(folder, 'd.json')).spec.devices[0]!.kind).toBe('psa');
    const { model } = await importModel(MODEL);
    const program = programFor('psa', model, { from: 0, to: 2, modelId: 1, port: 1, mtu: 1500 });
    expect((await program.build()).toString()).toMatch(/^\/\/ ingress\n/);
    expect(program.weights(model, 1)).toHaveLength(2);
  });
});
