import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { INFERENCE_PROTO } from '../../../src/ends/worker/inference/proto.ts';

const python = process.env.INTEROP_PYTHON ?? 'python3';

/** Why Python's gRPC cannot be had here; empty where it can. */
export function missingPython(...modules: readonly string[]): string {
  const imports = modules.map((name) => `import ${name}`).join('\n');
  return spawnSync(python, ['-c', imports]).status === 0
    ? ''
    : ` (skipped: ${python} cannot import ${modules.join(', ')})`;
}

/** The messages as a file of descriptors, which any library of protobuf reads. */
export function writeDescriptors(folder: string): string {
  const root = protobuf.parse(INFERENCE_PROTO, { keepCase: true }).root;
  root.resolveAll();
  // Types of protobufjs do not know of what this extension adds to them.
  const set = (root as unknown as { toDescriptor(syntax: string): protobuf.Message }).toDescriptor('proto3');
  const file = join(folder, 'inference.pb');
  writeFileSync(file, descriptor.FileDescriptorSet.encode(set).finish());
  return file;
}

const scriptOf = (name: string) => join(import.meta.dirname, 'interop', name);

/** What a script prints. */
export const runPython = (script: string, args: readonly string[]): Promise<string> =>
  new Promise((resolve) => {
    execFile(python, [scriptOf(script), ...args], { timeout: 60_000 }, (_, stdout, stderr) =>
      resolve(`${stdout}${stderr}`),
    );
  });

/** A server on ONNX Runtime in Python. */
export async function startOther(descriptors: string, models: Readonly<Record<string, string>>) {
  const args = Object.entries(models).map(([name, file]) => `${name}=${file}`);
  const child: ChildProcess = spawn(python, [scriptOf('infer_server.py'), descriptors, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout!.once('data', (data: Buffer) => resolve(data.toString()));
    child.once('exit', () => reject(new Error('the server ended')));
  });
  const ports = JSON.parse(line) as { readonly http: number; readonly grpc: number };
  const close = () =>
    new Promise<void>((done) => {
      child.removeAllListeners('exit');
      child.once('exit', () => done());
      child.kill('SIGKILL');
    });
  return { ...ports, close };
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly json: () => Record<string, never>;
}

/** One call over HTTP, to a socket or a port. */
export function ask(
  address: string,
  method: string,
  path: string,
  body: string | Buffer = '',
  headers: Readonly<Record<string, string | number>> = {},
): Promise<HttpAnswer> {
  const place = address.startsWith('unix:')
    ? { socketPath: address.slice(5) }
    : { host: '127.0.0.1', port: address.split(':')[1] };
  return new Promise((resolve, reject) => {
    const call = request({ ...place, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const whole = Buffer.concat(chunks);
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          body: whole,
          json: () => JSON.parse(whole.toString()),
        });
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}
