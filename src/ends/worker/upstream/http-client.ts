import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { z } from 'zod';
import { socketPath } from '../../../doors/rules.ts';
import { isDatatype, JSON_LENGTH_HEADER, littleEndian, numbersOf } from '../inference/tensors.ts';
import {
  MOST_ANSWER_BYTES,
  type ModelDescription,
  type SentTensor,
  UPSTREAM_MS,
  type UpstreamAddress,
  type UpstreamClient,
} from './client.ts';

const tensor = z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.int()) });
const metadataSchema = z.object({ inputs: z.array(tensor), outputs: z.array(tensor) });
const serverSchema = z.object({ extensions: z.array(z.string()).default([]) });
const answerSchema = z.object({
  outputs: z.array(
    tensor.extend({
      parameters: z.looseObject({ binary_data_size: z.int().min(0).optional() }).optional(),
      data: z.array(z.number()).optional(),
    }),
  ),
});
const faultSchema = z.object({ error: z.string() });

interface Reply {
  readonly status: number;
  readonly jsonLength: number | undefined;
  readonly body: Buffer;
}

/** The protocol over HTTP: tensors as bytes where the server has that extension, else as numbers. */
export class HttpUpstream implements UpstreamClient {
  readonly url: string;
  readonly #address: UpstreamAddress;
  readonly #path: string;
  #isBinary = false;

  constructor(address: UpstreamAddress) {
    const { url, model, version } = address;
    this.url = url;
    this.#address = address;
    const name = `/v2/models/${encodeURIComponent(model)}`;
    this.#path = version === '' ? name : `${name}/versions/${encodeURIComponent(version)}`;
  }

  async metadata(): Promise<ModelDescription> {
    const server = serverSchema.safeParse(documentOf(await this.#ask('GET', '/v2')));
    const extensions = server.data?.extensions ?? [];
    this.#isBinary = extensions.some((e) => e === 'binary_tensor_data' || e === 'binary_data');
    const parsed = metadataSchema.safeParse(documentOf(await this.#ask('GET', this.#path)));
    if (!parsed.success) throw new Error('its metadata are none of the protocol');
    return parsed.data;
  }

  async infer({ bytes, ...input }: SentTensor, output: string): Promise<SentTensor> {
    const reply = this.#isBinary
      ? await this.#binary(input, bytes, output)
      : await this.#ask('POST', `${this.#path}/infer`, {
          inputs: [{ ...input, data: numbersIn(bytes, input.datatype) }],
          outputs: [{ name: output }],
        });
    return outputOf(reply, output);
  }

  #binary(input: Omit<SentTensor, 'bytes'>, bytes: Uint8Array, output: string): Promise<Reply> {
    const document = {
      inputs: [{ ...input, parameters: { binary_data_size: bytes.length } }],
      outputs: [{ name: output, parameters: { binary_data: true } }],
    };
    return this.#ask('POST', `${this.#path}/infer`, document, bytes);
  }

  async #ask(method: string, path: string, document?: object, binary?: Uint8Array): Promise<Reply> {
    const json = Buffer.from(document === undefined ? '' : JSON.stringify(document));
    const body = binary === undefined ? json : Buffer.concat([json, binary]);
    const headers = {
      'content-length': body.length,
      ...(document !== undefined && {
        'content-type': binary === undefined ? 'application/json' : 'application/octet-stream',
      }),
      ...(binary !== undefined && { [JSON_LENGTH_HEADER]: json.length }),
    };
    const reply = await exchange(this.#address, { method, path, headers, body });
    if (reply.status === 200) return reply;
    const fault = faultSchema.safeParse(documentOf(reply));
    throw new Error(fault.data?.error ?? `it answers ${method} ${path} with status ${reply.status}`);
  }

  close(): void {}
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: Buffer;
}

function exchange({ url, tls }: UpstreamAddress, { body, ...asked }: Asked): Promise<Reply> {
  const path = socketPath(url);
  const { protocol, hostname, port } = new URL(path === undefined ? url : 'http://localhost');
  const isTls = protocol === 'https:';
  const pem = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes);
  const place =
    path === undefined
      ? { host: hostname.replace(/^\[|\]$/g, ''), port: port || (isTls ? 443 : 80) }
      : { socketPath: path };
  const security = isTls ? { ca: pem(tls?.ca), cert: pem(tls?.cert), key: pem(tls?.key) } : {};
  return new Promise<Reply>((resolve, reject) => {
    const request = (isTls ? tlsRequest : plainRequest)({ ...place, ...security, ...asked }, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > MOST_ANSWER_BYTES) request.destroy(new Error('its answer has no end'));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        clearTimeout(timer);
        const jsonLength = response.headers[JSON_LENGTH_HEADER];
        resolve({
          status: response.statusCode ?? 0,
          jsonLength: jsonLength === undefined ? undefined : Number(jsonLength),
          body: Buffer.concat(chunks),
        });
      });
      response.on('error', reject);
    });
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer within ${UPSTREAM_MS / 1000} s`)),
      UPSTREAM_MS,
    );
    request.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    request.end(body);
  });
}

/** Undefined for what is no JSON, which no schema takes. */
function documentOf({ body, jsonLength = body.length }: Reply): unknown {
  try {
    return JSON.parse(body.subarray(0, jsonLength).toString('utf8'));
  } catch {
    return undefined;
  }
}

function outputOf(reply: Reply, wanted: string): SentTensor {
  const parsed = answerSchema.safeParse(documentOf(reply));
  if (!parsed.success) throw new Error('its answer is none of the protocol');
  let at = reply.jsonLength ?? reply.body.length;
  for (const { name, datatype, shape, parameters, data } of parsed.data.outputs) {
    const size = parameters?.binary_data_size ?? 0;
    const bytes = reply.body.subarray(at, at + size);
    at += size;
    if (name === wanted) return { name, datatype, shape, bytes: data ? bytesIn(data, datatype) : bytes };
  }
  throw new Error(`its answer has no output "${wanted}"`);
}

const numbersIn = (bytes: Uint8Array, datatype: string): readonly number[] =>
  isDatatype(datatype) ? Array.from(numbersOf(bytes, datatype)) : [];

function bytesIn(data: readonly number[], datatype: string): Uint8Array {
  if (!isDatatype(datatype)) throw new Error(`its answer has datatype ${datatype}`);
  return littleEndian(data, datatype);
}
