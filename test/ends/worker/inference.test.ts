/** The Open Inference Protocol as a worker serves it, against recorded answers of ONNX Runtime and a client of gRPC's C library. */

import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DoorListen } from '../../../src/doors/rules.ts';
import { inferenceListenFault } from '../../../src/ends/worker/inference/access.ts';
import {
  ModelServer,
  openInferenceGrpc,
  openInferenceHttp,
  Repository,
} from '../../../src/ends/worker/inference/index.ts';
import { outputType } from '../../../src/model/model.ts';
import { intransit, testFolder } from '../../support/io.ts';
import { example, kept, worker } from '../edge/loopback.ts';
import { ask, missingPython, runPython, writeDescriptors } from './inference-support.ts';

const folder = testFolder();
const rows = readFileSync('examples/digits-mlp.x.bin');
const recorded = readFileSync('examples/digits-mlp.ort.bin');
const repository = join(folder, 'models');
for (const version of ['1', '2']) {
  mkdirSync(join(repository, 'digits', version), { recursive: true });
  cpSync('examples/digits-mlp.onnx', join(repository, 'digits', version, 'model.onnx'));
}
mkdirSync(join(repository, 'broken', '1'), { recursive: true });
writeFileSync(join(repository, 'broken', '1', 'model.onnx'), 'what is this');

let sockets = 0;
async function served(listen: DoorListen = { address: `unix:${join(folder, `${sockets++}.sock`)}` }) {
  const w = await worker(await example('digits-mlp', { rows: 1 }));
  const server = new ModelServer(w, { version: '0', repository: new Repository(repository), batch: 33 });
  const { address } = kept(await openInferenceHttp(server, listen));
  return { worker: w, server, address };
}

const infer = '/v2/models/digits-mlp/infer';
const input = (count: number, fields: object = {}) => ({
  name: 'input',
  datatype: 'UINT8',
  shape: [count, 64],
  data: [...rows.subarray(0, 64 * count)],
  ...fields,
});
const one = (fields: object = {}, more: object = {}) =>
  JSON.stringify({ inputs: [input(1, fields)], ...more });
const signed = (bytes: Uint8Array) => [...new Int8Array(bytes)];

describe('over HTTP', () => {
  it('tells what there is', async () => {
    const { address } = await served();
    const get = (path: string) => ask(address, 'GET', path);
    expect((await get('/v2')).json()).toMatchObject({
      name: 'intransit',
      extensions: ['binary_tensor_data', 'model_repository'],
    });
    expect((await get('/v2/health/live')).json()).toEqual({ live: true });
    expect((await get('/v2/health/ready')).json()).toEqual({ ready: true });
    expect((await get('/v2/models/digits-mlp/versions/1/ready')).json()).toEqual({
      name: 'digits-mlp',
      ready: true,
    });
    // By the id of packets, too.
    expect((await get('/v2/models/1')).json()).toMatchObject({
      name: 'digits-mlp',
      versions: ['1'],
      platform: 'onnx_onnxv1',
      inputs: [{ name: 'input', datatype: 'UINT8', shape: [-1, 64] }],
      outputs: [{ name: 'output', datatype: 'INT8', shape: [-1, 10] }],
    });
    for (const path of [
      '/v2/models/none',
      '/v2/models/digits-mlp/versions/2',
      '/v2/what',
      '/v2/models/%zz',
      '/',
    ])
      expect([path, [400, 404].includes((await get(path)).status)]).toEqual([path, true]);
  });

  it('gives the recorded integers: numbers, nested or not, and bytes behind the document', async () => {
    const { address, worker: w } = await served();
    const all = await ask(address, 'POST', infer, JSON.stringify({ id: '7', inputs: [input(500)] }));
    expect(all.json()).toEqual({
      model_name: 'digits-mlp',
      model_version: '1',
      id: '7',
      outputs: [{ name: 'output', datatype: 'INT8', shape: [500, 10], data: signed(recorded) }],
    });
    const nested = await ask(address, 'POST', infer, one({ data: [[...rows.subarray(0, 64)]] }));
    expect(nested.json().outputs[0]).toMatchObject({ data: signed(recorded.subarray(0, 10)) });
    const alone = await ask(address, 'POST', '/v2/models/digits-mlp/versions/1/infer', one({ shape: [64] }));
    expect(alone.json().outputs[0]).toMatchObject({ shape: [10], data: signed(recorded.subarray(0, 10)) });

    const { data: _, ...described } = input(500, { parameters: { binary_data_size: 32_000 } });
    const document = Buffer.from(
      JSON.stringify({
        inputs: [described],
        outputs: [{ name: 'output', parameters: { binary_data: true } }],
      }),
    );
    const length = { 'inference-header-content-length': document.length };
    const binary = await ask(address, 'POST', infer, Buffer.concat([document, rows]), length);
    const at = Number(binary.headers['inference-header-content-length']);
    expect(Buffer.compare(binary.body.subarray(at), recorded)).toBe(0);
    expect(JSON.parse(binary.body.subarray(0, at).toString()).outputs[0].parameters).toEqual({
      binary_data_size: 5000,
    });
    expect(w.held()[0]!.versions[0]!.answered).toBe(1002);
  });

  it('takes reals through the grid of the input and gives those of the output', async () => {
    const { address, worker: w } = await served();
    const { model } = w.loaded()[0]!.versions.get(1)!;
    const reals = [...rows.subarray(0, 64)].map((q) => model.input.scale * (q - model.input.zeroPoint));
    const answer = await ask(address, 'POST', infer, one({ datatype: 'FP32', data: reals }));
    const { scale, zeroPoint } = outputType(model);
    const [output] = answer.json().outputs as unknown as { datatype: string; data: number[] }[];
    expect(output!.datatype).toBe('FP32');
    expect(output!.data).toEqual(
      signed(recorded.subarray(0, 10)).map((q) => Math.fround(Math.fround(scale) * (q - zeroPoint))),
    );
    const outputs = [{ name: 'output', parameters: { datatype: 'INT8' } }];
    const integers = await ask(address, 'POST', infer, one({ datatype: 'FP64', data: reals }, { outputs }));
    expect(integers.json().outputs[0]).toMatchObject({
      datatype: 'INT8',
      data: signed(recorded.subarray(0, 10)),
    });
  });

  it('refuses by a status and a reason what it cannot compute, and goes on', async () => {
    const { address } = await served();
    const cases: readonly (readonly [string, RegExp])[] = [
      ['no json', /no JSON/],
      ['[]', /expected object/],
      ['{"inputs": []}', /0 inputs, the model one, "input"/],
      [JSON.stringify({ inputs: [input(1), input(1)] }), /2 inputs/],
      [one({ name: 'x' }), /no input "x": the model has "input"/],
      [one({ datatype: 'INT8' }), /datatype INT8: give UINT8/],
      [one({ datatype: 'BYTES' }), /datatype BYTES/],
      [one({ shape: [1, 63] }), /shape \[1, 63\]: give \[N, 64\]/],
      [one({ shape: [] }), /shape \[\]/],
      [one({ shape: [2, 64] }), /64 elements, its shape asks for 128/],
      [one({ shape: [0, 64], data: [] }), /0 rows/],
      [one({ shape: [1e9, 64] }), /1000000000 rows: give 1 to 16384/],
      [one({ shape: [1, 1e300] }), /shape/],
      [one({ shape: [-1, 64] }), /shape/],
      [one({ data: rows.subarray(0, 63).toJSON().data }), /63 elements/],
      [one({ data: ['1'] }), /element 1 is no number/],
      [one({ data: [256, ...rows.subarray(1, 64)] }), /256 is no uint8/],
      [one({ data: [0.5, ...rows.subarray(1, 64)] }), /element 1, 0\.5, is no UINT8/],
      [one({ data: undefined }), /no data/],
      [one({ parameters: { binary_data_size: 64 } }), /both data and binary_data_size/],
      [
        one({ data: undefined, parameters: { binary_data_size: 64 } }),
        /binary_data_size 64 is not what the body holds/,
      ],
      [one({}, { outputs: [{ name: 'y' }] }), /no output "y"/],
      [one({}, { outputs: [{ name: 'output', parameters: { datatype: 'UINT8' } }] }), /not as UINT8/],
      [
        `{"inputs": [{"name": "input", "datatype": "UINT8", "shape": [64], "data": ${'['.repeat(5000)}${']'.repeat(5000)}}]}`,
        /0 elements/,
      ],
    ];
    for (const [body, reason] of cases) {
      const answer = await ask(address, 'POST', infer, body);
      expect([body.slice(0, 80), answer.status]).toEqual([body.slice(0, 80), 400]);
      expect(answer.json().error).toMatch(reason);
    }
    const long = { 'content-length': 2 ** 30 };
    expect((await ask(address, 'POST', infer, '', long)).status).toBe(413);
    const header = await ask(address, 'POST', infer, one(), { 'inference-header-content-length': 1e6 });
    expect(header.status).toBe(400);
    expect((await ask(address, 'DELETE', '/v2/models/digits-mlp')).status).toBe(404);
    expect((await ask(address, 'POST', infer, one())).status).toBe(200);
  });

  it('loads and unloads what its repository has, and nothing of a model that does not serve', async () => {
    const { address, worker: w } = await served();
    const index = async (body = '{}') => (await ask(address, 'POST', '/v2/repository/index', body)).json();
    const act = (name: string, what: string, body = '') =>
      ask(address, 'POST', `/v2/repository/models/${name}/${what}`, body);
    expect(await index()).toContainEqual({
      name: 'digits',
      version: '2',
      state: 'UNAVAILABLE',
      reason: 'unloaded',
    });
    expect((await act('digits', 'load')).status).toBe(200);
    expect(await index('{"ready": true}')).toEqual(
      ['digits-mlp 1', 'digits 1', 'digits 2'].map((text) => {
        const [name, version] = text.split(' ');
        return { name, version, state: 'READY', reason: '' };
      }),
    );
    const answer = await ask(address, 'POST', '/v2/models/digits/infer', one());
    expect(answer.json()).toMatchObject({
      model_version: '2',
      outputs: [{ data: signed(recorded.subarray(0, 10)) }],
    });
    // Packets may ask for it too, by the id that it was given.
    expect(w.held().map((m) => [m.modelId, m.name, m.current])).toEqual([
      [1, 'digits-mlp', 1],
      [2, 'digits', 2],
    ]);
    expect((await act('broken', 'load')).json().error).toMatch(/broken\.onnx: /);
    expect((await act('../..', 'load')).status).toBe(404);
    expect((await act('none', 'load')).json().error).toMatch(/repository has no model "none"/);
    // A folder that cannot be read is not an empty one.
    renameSync(repository, `${repository}-away`);
    writeFileSync(repository, '');
    expect((await act('digits', 'load')).json().error).toMatch(/the repository cannot be read: ENOTDIR/);
    rmSync(repository);
    renameSync(`${repository}-away`, repository);
    const file = (version: string, text: string) =>
      JSON.stringify({ parameters: { [`file:${version}/m.onnx`]: text } });
    const model = readFileSync('examples/digits-mlp.onnx').toString('base64');
    expect((await act('digits', 'load', file('7', model))).status).toBe(200);
    expect(w.held()[1]).toMatchObject({ modelId: 2, current: 7 });
    expect((await act('digits', 'load', file('70000', model))).json().error).toMatch(/version 70000/);
    expect((await act('digits', 'unload')).status).toBe(200);
    expect((await act('digits', 'unload')).status).toBe(404);
    expect(w.held().map((m) => m.modelId)).toEqual([1]);
  });

  it('lets nobody load through a port that all of the machine reach', async () => {
    const { address } = await served({ address: '127.0.0.1:0' });
    expect((await ask(address, 'POST', infer, one())).status).toBe(200);
    const refused = await ask(address, 'POST', '/v2/repository/models/digits/load');
    expect([refused.status, refused.json().error]).toEqual([403, expect.stringMatching(/unix:PATH/)]);
  });
});

describe('over gRPC', () => {
  const why = missingPython('grpc', 'google.protobuf');
  it.skipIf(why !== '')(
    `answers a client of gRPC's C library${why}`,
    async () => {
      const { server } = await served();
      const { address } = kept(
        await openInferenceGrpc(server, { address: `unix:${join(folder, 'g.sock')}` }),
      );
      const args = ['examples/digits-mlp.x.bin', 'examples/digits-mlp.ort.bin', 'examples/digits-mlp.onnx'];
      expect(await runPython('infer_client.py', [writeDescriptors(folder), address, ...args])).toBe(
        'interop ok\n',
      );
    },
    60_000,
  );
});

describe('the doors of the command line', () => {
  it('are closed to others than this machine', () => {
    expect(inferenceListenFault({ address: '127.0.0.1:8000' }, 'http')).toBeUndefined();
    expect(inferenceListenFault({ address: 'unix:/run/x.sock' }, 'http')).toBeUndefined();
    expect(inferenceListenFault({ address: '0.0.0.0:8000' }, 'http')).toMatch(
      /--http 0\.0\.0\.0:8000: whoever reaches it/,
    );
    expect(inferenceListenFault({ address: '0.0.0.0:8000', insecure: true }, 'http')).toBeUndefined();
  });

  it.each([
    [['--http', '0.0.0.0:8000'], /TLS/],
    [['--repository', 'x'], /--repository is of --http and --grpc/],
    [['--upstream', 'ftp://x'], /must be http:/],
    [['--upstream-from', '1'], /--upstream-from is of --upstream/],
    [['--upstream', 'http://127.0.0.1:1', '--upstream-key', 'k'], /belong together/],
  ])('refuse %j as wrong usage', async (args, reason) => {
    const { code, err } = await intransit('worker', 'examples/digits-mlp.onnx', ...args);
    expect(code).toBe(2);
    expect(err).toMatch(reason);
  });
});
