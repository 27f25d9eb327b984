/** Servers of the Open Inference Protocol at the end of a path: ONNX Runtime in Python, and another worker. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { DiagnosticError } from '../../../src/diagnostics/index.ts';
import { ModelServer, openInferenceHttp } from '../../../src/ends/worker/inference/index.ts';
import type { UpstreamOptions } from '../../../src/ends/worker/upstream/upstream.ts';
import { type Model, valueType } from '../../../src/model/model.ts';
import { failureOf } from '../../support/failure.ts';
import { testFolder } from '../../support/io.ts';
import { example, kept, sender, worker } from '../edge/loopback.ts';
import { missingPython, startOther, writeDescriptors } from './inference-support.ts';

const folder = testFolder();
const why = missingPython('grpc', 'google.protobuf', 'onnxruntime');

/** The code and message of the one diagnostic by which it failed. */
const failure = async (work: Promise<unknown>): Promise<string> => {
  const { code, message } = (await failureOf(work, DiagnosticError)).diagnostics[0]!;
  return `${code}: ${message}`;
};

describe.skipIf(why !== '')(`a server on ONNX Runtime${why}`, () => {
  let other: Awaited<ReturnType<typeof startOther>>;
  let digits: Awaited<ReturnType<typeof example>>;
  beforeAll(async () => {
    const models = ['digits-mlp', 'digits-cnn', 'traffic-large'];
    other = await startOther(
      writeDescriptors(folder),
      Object.fromEntries(models.map((name) => [name, `examples/${name}.onnx`])),
    );
    digits = await example('digits-mlp');
    return other.close;
  }, 60_000);

  const upstream = (protocol: 'http' | 'grpc', model: string, more: Partial<UpstreamOptions> = {}) => ({
    url: `${protocol}://127.0.0.1:${other[protocol]}`,
    model,
    version: '',
    ...more,
  });

  it.each(['http', 'grpc'] as const)('computes the packets of a path over %s', async (protocol) => {
    const told: string[] = [];
    const w = await worker({
      ...digits,
      upstream: upstream(protocol, 'digits-mlp'),
      onDiagnostic: (d) => told.push(d.code),
    });
    expect(w.engines).toEqual(['upstream', 'onnxruntime']);
    const s = await sender(w.port, { model: digits.model });
    const { answers, lost } = await s.send(digits.rows);
    expect(lost).toEqual([]);
    expect(Buffer.compare(answers, readFileSync('examples/digits-mlp.ort.bin'))).toBe(0);
    expect(told).toEqual([]);
  });

  it('answers by class and margin where it gives the logits of a larger model, which is said', async () => {
    const small = await example('traffic-mlp', { verdict: true, rows: 300 });
    const told: string[] = [];
    const onDiagnostic = (d: { code: string }) => told.push(d.code);
    const w = await worker({ ...small, upstream: upstream('grpc', 'traffic-large'), onDiagnostic });
    const asLarge = await worker({ ...small, large: 'examples/traffic-large.onnx' });
    const both = await Promise.all(
      [w, asLarge].map(async ({ port }) => (await sender(port, { model: small.model })).send(small.rows)),
    );
    expect(Buffer.compare(both[0]!.answers, both[1]!.answers)).toBe(0);
    expect(told).toEqual(['upstream-differs']);
  });

  it('is refused where it is none that could answer', async () => {
    const start = (options: Partial<UpstreamOptions> & { model: string }) =>
      failure(worker({ ...digits, upstream: { ...upstream('grpc', options.model), ...options } }));
    expect(await start({ model: 'none' })).toMatch(/^upstream: model none of the server.*no model none/);
    expect(await start({ model: 'traffic-large' })).toMatch(
      /its input is UINT8\[-1, 16\], but uint8\[64\] comes/,
    );
    expect(await start({ model: 'digits-mlp', from: '1' })).toMatch(/its input is UINT8\[-1, 64\], but/);
    expect(await start({ model: 'digits-mlp', from: '9' })).toMatch(/has no layer 9 \(0 to 1, or a name\)/);
    expect(await start({ model: 'digits-mlp', url: 'http://127.0.0.1:1' })).toMatch(/ECONNREFUSED/);
    const url = `http://127.0.0.1:${other.http}`;
    expect(await start({ model: 'none', url })).toMatch(/no model none/);
  });
});

it('another worker computes the last layers; rows are refused while it is gone, and answered when it is back', async () => {
  const whole = await example('digits-mlp', { rows: 40 });
  const { model } = whole;
  const layers = [{ ...model.layers[1]!, inputs: [0] }];
  const last = await worker({ model: { ...model, input: valueType(model, 1), layers } as Model });
  const listen = { address: `unix:${join(folder, 'last.sock')}` };
  const server = new ModelServer(last, { version: '0' });
  let door = await openInferenceHttp(server, listen);
  const told: string[] = [];
  const w = await worker({
    ...whole,
    upstream: { url: door.address, model: 'digits-mlp', version: '', from: '1' },
    onDiagnostic: (d) => told.push(d.code),
  });
  expect(w.engines).toEqual(['upstream', 'upstream']);
  for (const done of [0, 1]) {
    const s = await sender(w.port, { model, layers: done });
    expect(Buffer.compare((await s.send(whole.rows)).answers, whole.expected)).toBe(0);
  }
  expect(last.held()[0]!.versions[0]!.answered).toBeGreaterThanOrEqual(80);
  door.close();
  const s = await sender(w.port, { model, timeoutMs: 100, retries: 1 });
  expect((await s.send(whole.rows.subarray(0, 64))).lost).toHaveLength(1);
  expect(told).toEqual(['worker-engine']);
  door = kept(await openInferenceHttp(server, listen));
  const again = await sender(w.port, { model });
  expect(Buffer.compare((await again.send(whole.rows)).answers, whole.expected)).toBe(0);
});
