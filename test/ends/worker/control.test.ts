/** The control door of a worker: who may come in, and what it makes of what it is told. */

import { existsSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { WorkerClient } from '../../../src/controller/worker-client.ts';
import { DiagnosticError } from '../../../src/diagnostics/index.ts';
import type { DoorListen } from '../../../src/doors/rules.ts';
import type { HeldDocument } from '../../../src/doors/worker-protocol.ts';
import { createWorker, openControl } from '../../../src/ends/worker/index.ts';
import { makeCertificate } from '../../p4runtime/support/certificates.ts';
import { failureOf } from '../../support/failure.ts';
import { testFolder } from '../../support/io.ts';
import { describeWithTools } from '../../support/machine.ts';

const folder = testFolder();
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function door(listen: DoorListen) {
  const worker = await createWorker({ listen: { host: '127.0.0.1', port: 0 } });
  open.push(worker);
  const control = await openControl(worker, listen, 'reference');
  open.push(control);
  return { worker, address: control.address };
}

const clientOf = (address: string, tls?: ConstructorParameters<typeof WorkerClient>[1]) =>
  new WorkerClient({ name: 'w1', address }, tls, 5000);

const bytes = readFileSync('examples/digits-mlp.onnx');
const source = { name: 'digits.onnx', bytes, verdict: false, options: {} };
const numbersOf = (held: HeldDocument) =>
  held.models.map((m) => [m.modelId, m.current, ...m.versions.map((v) => v.version)]);

/** The code and message of the one diagnostic by which it failed. */
const failure = async (work: Promise<unknown>): Promise<string> => {
  const { code, message } = (await failureOf(work, DiagnosticError)).diagnostics[0]!;
  return `${code}: ${message}`;
};

describe('a control door', () => {
  it('is driven by the controller with the highest election id', async () => {
    const { address } = await door({ address: `unix:${join(folder, 'fence.sock')}` });
    const by = (electionId?: bigint) =>
      new WorkerClient({ name: 'w1', address, ...(electionId !== undefined && { electionId }) }, undefined);
    await by(5n).load(3, 1, source);
    // Of one model: others may be changed by others.
    expect(await failure(by(4n).makeCurrent(3, 1))).toMatch(/election id 5 drives it.* by 4/);
    expect(await failure(by().unload(3, 1))).toMatch(/election id 5 drives it.* by 0/);
    await by(4n).load(4, 1, source);
    expect(numbersOf(await by().held())).toEqual([
      [3, null, 1],
      [4, null, 1],
    ]);
    // A bid is for all of them, and the same id goes on.
    const high = (7n << 64n) | 1n;
    await by(high).held(true);
    for (const model of [3, 4, 5])
      expect(await failure(by(high - 1n).load(model, 2, source))).toMatch(/drives it/);
    expect(numbersOf(await by(high).makeCurrent(3, 1))).toEqual([
      [3, 1, 1],
      [4, null, 1],
    ]);
    expect(await failure(by(1n << 128n).makeCurrent(3, 1))).toMatch(/below 2\^128/);
  });

  it('is a socket of its user alone; versions come, are flipped and go', async () => {
    const path = join(folder, 'own.sock');
    const { address } = await door({ address: `unix:${path}` });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const client = clientOf(address);
    expect(numbersOf(await client.held())).toEqual([]);
    expect(numbersOf(await client.load(3, 1, source))).toEqual([[3, null, 1]]);
    expect(numbersOf(await client.load(3, 2, { ...source, verdict: true }))).toEqual([[3, null, 1, 2]]);
    const held = await client.makeCurrent(3, 2);
    expect(numbersOf(held)).toEqual([[3, 2, 1, 2]]);
    const [first, second] = held.models[0]!.versions;
    expect([first!.layerCount, second!.layerCount, first!.digest === second!.digest]).toEqual([2, 3, false]);
    expect(numbersOf(await client.unload(3, 2))).toEqual([[3, null, 1]]);
    // What is gone already is gone.
    expect(numbersOf(await client.unload(3, 2))).toEqual([[3, null, 1]]);
    expect(numbersOf(await client.unload(3, 1))).toEqual([]);
    expect((await client.held()).instance).toBe(held.instance);
  });

  it('says what it cannot do, and keeps what it has', async () => {
    const { address } = await door({ address: `unix:${join(folder, 'faults.sock')}` });
    const client = clientOf(address);
    await client.load(1, 1, source);
    expect(await failure(client.makeCurrent(1, 2))).toMatch(
      /^worker-failed: .*version 2 of model 1 is not held/,
    );
    expect(await failure(client.makeCurrent(9, 1))).toMatch(/not held/);
    expect(await failure(client.load(1, 2, { ...source, bytes: Buffer.from('{') }))).toMatch(/worker-failed/);
    const garbage = { ...source, name: 'm.txt', bytes: Buffer.from('what is this') };
    expect(await failure(client.load(1, 2, garbage))).toMatch(/worker-failed.*format/);
    expect(await failure(client.load(0, 1, source))).toMatch(/0 is no number from 1 to 65535/);
    expect(await failure(client.load(1, 70_000, source))).toMatch(/70000 is no number/);
    expect(numbersOf(await client.held())).toEqual([[1, null, 1]]);
  });

  it('answers strangers to its protocol by a status and goes on', async () => {
    const path = join(folder, 'strange.sock');
    await door({ address: `unix:${path}` });
    const ask = (method: string, target: string, body = '') =>
      new Promise<number>((done, fail) => {
        const call = request({ socketPath: path, method, path: target, agent: false }, (response) => {
          response.resume();
          done(response.statusCode!);
        });
        call.on('error', fail);
        call.end(body);
      });
    expect(await ask('GET', '/')).toBe(404);
    expect(await ask('POST', '/v1/models')).toBe(404);
    expect(await ask('PUT', '/v1/models/1/current', 'no json')).toBe(400);
    expect(await ask('PUT', '/v1/models/1/current', '{"version": 0}')).toBe(400);
    expect(await ask('PUT', '/v1/models/1/current', ' '.repeat(5000))).toBe(413);
    expect(await ask('PUT', '/v1/models/1/versions/1', 'x')).toBe(400);
    expect(await ask('PUT', '/v1/models/1/versions/1?name=m.onnx&other=1', 'x')).toBe(400);
    await new Promise<void>((done) => {
      const raw = connect(path, () => raw.end('\x16\x03\x01 no HTTP at all\r\n\r\n'));
      raw.on('close', () => done());
      raw.resume();
    });
    expect(await ask('GET', '/v1/models')).toBe(200);
  });

  it('is gone with its worker', async () => {
    const path = join(folder, 'gone.sock');
    const { address } = await door({ address: `unix:${path}` });
    for (const one of open.splice(0).reverse()) await one.close();
    expect(existsSync(path)).toBe(false);
    expect(await failure(clientOf(address).held())).toMatch(/^worker-unreachable/);
  });
});

describeWithTools(['openssl'], 'a control door over TCP', () => {
  it('lets those in whose certificate is named, and nobody else', async () => {
    const ca = makeCertificate(folder, 'ca');
    const server = makeCertificate(folder, 'server', ca, { san: 'DNS:worker.example' });
    const known = makeCertificate(folder, 'known', ca, { san: 'DNS:controller.example' });
    const other = makeCertificate(folder, 'other', ca, { san: 'DNS:other.example' });
    const own = { cert: server.cert, key: server.key, ca: ca.cert };
    const { address } = await door({
      address: '127.0.0.1:0',
      tls: own,
      allow: [{ name: 'controller.example' }],
    });
    const tls = { ca: ca.cert, serverName: 'worker.example' };
    const { instance } = await clientOf(address, { ...tls, cert: known.cert, key: known.key }).held();
    expect(instance).not.toBe('');
    expect(await failure(clientOf(address, { ...tls, cert: other.cert, key: other.key }).held())).toMatch(
      /^worker-failed: .*no name of the certificate/,
    );
    expect(await failure(clientOf(address, tls).held())).toMatch(/^worker-unreachable/);
    expect(await failure(clientOf(address).held())).toMatch(/^worker-(unreachable|failed)/);
    // And a client believes nobody but the worker of the name that it was given.
    const wrong = { ...tls, serverName: 'elsewhere.example', cert: known.cert, key: known.key };
    expect(await failure(clientOf(address, wrong).held())).toMatch(/^worker-unreachable/);
  });
});
