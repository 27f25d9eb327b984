import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { type HttpDoor, openHttpDoor, peerOfRequest } from '../../../doors/http.ts';
import type { DoorListen } from '../../../doors/rules.ts';
import { admit, type InferenceRight } from './access.ts';
import { type FaultKind, faultOf, InferenceFault, invalid } from './fault.ts';
import type { InferResult, ModelServer } from './model-server.ts';
import { filesOf } from './repository.ts';
import { type GivenTensor, JSON_LENGTH_HEADER, numbersOf } from './tensors.ts';

/** Bytes of one request, and of all that are under way. */
const MOST_BODY_BYTES = 64 * 2 ** 20;
const MOST_BODIES_BYTES = 256 * 2 ** 20;
/** Time for a body to arrive, ms. */
const BODY_MS = 30_000;

const codes: Readonly<Record<FaultKind, number>> = {
  invalid: 400,
  forbidden: 403,
  'not found': 404,
  'too large': 413,
  'too much': 503,
  unavailable: 503,
};

const parameters = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

const inferSchema = z.object({
  id: z.string().max(1000).optional(),
  parameters: parameters.optional(),
  inputs: z
    .array(
      z.object({
        name: z.string(),
        datatype: z.string(),
        shape: z.array(z.int().min(0)).max(16),
        parameters: parameters.optional(),
        data: z.array(z.unknown()).optional(),
      }),
    )
    .max(16),
  outputs: z
    .array(z.object({ name: z.string(), parameters: parameters.optional() }))
    .max(16)
    .optional(),
});
type InferDocument = z.infer<typeof inferSchema>;

const indexSchema = z.object({ ready: z.boolean().optional() });
const loadSchema = z.object({ parameters: z.record(z.string(), z.unknown()).optional() });

/** An answer; a document, and behind it the bytes of tensors. */
interface Answer {
  readonly status?: number;
  readonly document?: object;
  readonly binary?: Uint8Array;
}

/**
 * Opens a door of HTTP at which a worker answers as the Open Inference Protocol says.
 * @throws DiagnosticError `agent` where the address is taken, or is no place for a socket
 */
export async function openInferenceHttp(server: ModelServer, listen: DoorListen): Promise<HttpDoor> {
  const bodies = new Bodies();
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const allow = (right: InferenceRight) => admit(peerOfRequest(request, listen), listen, right);
    try {
      const { pathname } = new URL(request.url ?? '/', 'http://worker');
      reply(response, await route(server, request, segmentsOf(pathname), { allow, bodies }));
    } catch (error) {
      // What was not read of the body is of no use to anybody.
      request.resume();
      replyFault(response, error);
    }
  };
  return openHttpDoor(listen, 'worker', (request, response) => void answer(request, response));
}

function segmentsOf(path: string): readonly string[] {
  try {
    return path.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return invalid('the path is no URL');
  }
}

interface Context {
  readonly allow: (right: InferenceRight) => void;
  readonly bodies: Bodies;
}

async function route(
  server: ModelServer,
  request: IncomingMessage,
  [root, ...path]: readonly string[],
  { allow, bodies }: Context,
): Promise<Answer> {
  const { method } = request;
  const none = () => {
    throw new InferenceFault('not found', `there is no ${method} ${request.url}`);
  };
  if (root !== 'v2') return none();
  allow('infer');
  const [kind, name = '', ...rest] = path;
  if (method === 'GET' && kind === undefined) return { document: server.metadata() };
  if (method === 'GET' && kind === 'health' && path.length === 2) return health(server, name) ?? none();
  if (kind === 'models' && name !== '') {
    const [version, action] = rest[0] === 'versions' ? [rest[1] ?? '', rest[2]] : ['', rest[0]];
    if (rest.length > (rest[0] === 'versions' ? 3 : 1)) return none();
    if (method === 'GET' && action === undefined) return { document: server.modelMetadata(name, version) };
    if (method === 'GET' && action === 'ready') {
      const ready = server.isModelReady(name, version);
      return { status: ready ? 200 : 503, document: { name, ready } };
    }
    if (method === 'POST' && action === 'infer')
      return bodies.read(request, (body) => infer(server, name, version, body, request));
    return none();
  }
  if (method !== 'POST' || kind !== 'repository') return none();
  if (name === 'index' && rest.length === 0)
    return bodies.read(request, async (body) => {
      const { ready = false } = parsed(indexSchema, jsonOf(body));
      return { document: server.index(ready) };
    });
  const [model, action] = rest;
  if (name !== 'models' || model === undefined || rest.length !== 2) return none();
  if (action !== 'load' && action !== 'unload') return none();
  allow('load');
  return bodies.read(request, async (body) => {
    const files = fileParameters(parsed(loadSchema, jsonOf(body)).parameters ?? {});
    if (action === 'load') await server.load(model, filesOf(files, model));
    else await server.unload(model);
    return {};
  });
}

function health(server: ModelServer, what: string): Answer | undefined {
  if (what === 'live') return { document: { live: true } };
  const ready = server.isReady();
  return what === 'ready' ? { status: ready ? 200 : 503, document: { ready } } : undefined;
}

async function infer(
  server: ModelServer,
  model: string,
  version: string,
  body: Buffer,
  { headers }: IncomingMessage,
): Promise<Answer> {
  const given = headers[JSON_LENGTH_HEADER];
  const length = given === undefined ? body.length : Number(given);
  if (!(length >= 0 && length <= body.length))
    return invalid(`${JSON_LENGTH_HEADER} is ${String(given)}, the body has ${body.length} bytes`);
  const document = parsed(inferSchema, jsonOf(body.subarray(0, length)));
  const result = await server.infer({
    model,
    version,
    inputs: tensorsOf(document, body.subarray(length)),
    outputs: (document.outputs ?? []).map(({ name, parameters: p }) => ({
      name,
      ...(typeof p?.datatype === 'string' && { datatype: p.datatype }),
    })),
  });
  return resultOf(document, result);
}

/** Tensors as they stand in the document, or in the bytes behind it, one after the other. */
function tensorsOf({ inputs }: InferDocument, binary: Buffer): readonly GivenTensor[] {
  let at = 0;
  const tensors = inputs.map(({ name, datatype, shape, parameters: p, data }): GivenTensor => {
    const size = p?.binary_data_size;
    if (size === undefined) {
      if (data === undefined) return invalid(`input "${name}" has no data`);
      return { name, datatype, shape, data: flat(data, name) };
    }
    if (data !== undefined) return invalid(`input "${name}" has both data and binary_data_size`);
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || at + size > binary.length)
      return invalid(`input "${name}": binary_data_size ${size} is not what the body holds`);
    at += size;
    return { name, datatype, shape, data: binary.subarray(at - size, at) };
  });
  if (at !== binary.length) invalid(`${binary.length - at} bytes of the body belong to no input`);
  return tensors;
}

/** Numbers of arrays in arrays, in the order in which they stand. */
function flat(data: readonly unknown[], name: string): readonly number[] {
  const out: number[] = [];
  // Arrays may stand in each other deeper than calls may.
  const open: { readonly list: readonly unknown[]; at: number }[] = [{ list: data, at: 0 }];
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    if (top.at === top.list.length) {
      open.pop();
      continue;
    }
    const element = top.list[top.at++];
    if (typeof element === 'number') out.push(element);
    else if (Array.isArray(element)) open.push({ list: element, at: 0 });
    else invalid(`input "${name}": element ${out.length + 1} is no number`);
  }
  return out;
}

function resultOf(document: InferDocument, { model, version, output }: InferResult): Answer {
  const { name, datatype, shape, bytes } = output;
  const asked = document.outputs?.find((o) => o.name === name)?.parameters?.binary_data;
  const isBinary = asked ?? document.parameters?.binary_data_output;
  const values =
    isBinary === true
      ? { parameters: { binary_data_size: bytes.length } }
      : { data: Array.from(numbersOf(bytes, datatype)) };
  const { id } = document;
  return {
    document: {
      model_name: model,
      model_version: version,
      ...(id !== undefined && { id }),
      outputs: [{ name, datatype, shape, ...values }],
    },
    ...(isBinary === true && { binary: bytes }),
  };
}

function fileParameters(given: Readonly<Record<string, unknown>>): ReadonlyMap<string, Uint8Array> {
  const files = Object.entries(given).filter(([key]) => key.startsWith('file:'));
  return new Map(
    files.map(([key, text]) => [
      key,
      typeof text === 'string' ? Buffer.from(text, 'base64') : invalid(`parameter "${key}" is no base64`),
    ]),
  );
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  return invalid(`${path.join('.') || 'the request'}: ${message}`);
}

/** A call without a body means an empty document. */
function jsonOf(bytes: Buffer): unknown {
  if (bytes.length === 0) return {};
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return invalid('the body is no JSON');
  }
}

/** Reads bodies, whose bytes are bounded each and together, and whose time is. */
class Bodies {
  #underWay = 0;

  async read(request: IncomingMessage, use: (body: Buffer) => Promise<Answer>): Promise<Answer> {
    const chunks: Buffer[] = [];
    let length = 0;
    const timer = setTimeout(() => request.destroy(), BODY_MS);
    try {
      if (Number(request.headers['content-length'] ?? 0) > MOST_BODY_BYTES) tooLarge();
      for await (const chunk of request as AsyncIterable<Buffer>) {
        length += chunk.length;
        this.#underWay += chunk.length;
        if (length > MOST_BODY_BYTES) tooLarge();
        if (this.#underWay > MOST_BODIES_BYTES)
          throw new InferenceFault('too much', 'too many requests are under way: ask again in a moment');
        chunks.push(chunk);
      }
      clearTimeout(timer);
      return await use(Buffer.concat(chunks));
    } finally {
      clearTimeout(timer);
      this.#underWay -= length;
    }
  }
}

const tooLarge = (): never => {
  throw new InferenceFault('too large', `the body has more than ${MOST_BODY_BYTES} bytes`);
};

function reply(response: ServerResponse, { status = 200, document, binary }: Answer): void {
  const json = Buffer.from(document === undefined ? '' : JSON.stringify(document));
  const body = binary === undefined ? json : Buffer.concat([json, binary]);
  response.writeHead(status, {
    'content-type': binary === undefined ? 'application/json' : 'application/octet-stream',
    'content-length': body.length,
    ...(binary !== undefined && { [JSON_LENGTH_HEADER]: json.length }),
  });
  response.end(body);
}

function replyFault(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const { kind, message } = faultOf(error);
  reply(response, { status: codes[kind], document: { error: message } });
}
