import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import { DiagnosticError } from '../diagnostics/index.ts';
import { type HttpDoor, openHttpDoor, peerOfRequest } from '../doors/http.ts';
import type { DoorListen } from '../doors/rules.ts';
import {
  CONTROL_FORMAT,
  currentSchema,
  type HeldDocument,
  importOptionsOf,
  MOST_MODEL_BYTES,
  versionQuerySchema,
} from '../doors/worker-protocol.ts';
import { importBytes } from '../import/index.ts';
import { withVerdict } from '../model/verdict.ts';
import type { VersionOptions } from './loaded-version.ts';
import type { Worker } from './worker.ts';

/** Bytes of any other document. */
const MOST_DOCUMENT_BYTES = 4096;

/** An answer that is no success. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Opens the door by which a worker is given versions while it runs.
 * @param on what computes the models that come in
 * @throws DiagnosticError `agent` where the address is taken, or is no place for a socket
 */
export async function openControl(
  worker: Worker,
  listen: DoorListen,
  on: VersionOptions['on'],
): Promise<HttpDoor> {
  const instance = randomUUID();
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    try {
      admit(request, listen);
      await act(worker, request, on);
      reply(response, 200, heldDocument(worker, instance));
    } catch (error) {
      // What was not read of the body is of no use to anybody.
      request.resume();
      replyFault(response, error);
    }
  };
  return openHttpDoor(listen, 'worker', (request, response) => void answer(request, response));
}

/** Those whom TLS let in must have one of the names as well, if there are any. @throws Refusal */
function admit(request: IncomingMessage, listen: DoorListen): void {
  if (peerOfRequest(request, listen) === undefined)
    throw new Refusal(403, 'no name of the certificate is among those that may drive this worker');
}

const VERSION = /^\/v1\/models\/(\d{1,5})\/versions\/(\d{1,5})$/;
const CURRENT = /^\/v1\/models\/(\d{1,5})\/current$/;

async function act(worker: Worker, request: IncomingMessage, on: VersionOptions['on']): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://worker');
  const { method } = request;
  if (method === 'GET' && pathname === '/v1/models') return;
  const [, id, version] = VERSION.exec(pathname) ?? [];
  if (method === 'PUT' && id !== undefined) {
    const query = parsed(versionQuerySchema, Object.fromEntries(searchParams));
    const bytes = await bodyOf(request, MOST_MODEL_BYTES);
    return load(worker, bytes, query, {
      modelId: idOf(id),
      modelVersion: idOf(version!),
      ...(on !== undefined && { on }),
    });
  }
  if (method === 'DELETE' && id !== undefined) {
    await worker.unload(idOf(id), idOf(version!));
    return;
  }
  const [, of] = CURRENT.exec(pathname) ?? [];
  if (method !== 'PUT' || of === undefined) throw new Refusal(404, `there is no ${method} ${pathname}`);
  const text = (await bodyOf(request, MOST_DOCUMENT_BYTES)).toString('utf8');
  const wanted = parsed(currentSchema, jsonOf(text)).version;
  if (!worker.makeCurrent(idOf(of), wanted ?? undefined))
    throw new Refusal(409, `version ${wanted} of model ${of} is not held`);
}

async function load(
  worker: Worker,
  bytes: Buffer,
  { name, verdict, ...options }: z.infer<typeof versionQuerySchema>,
  version: Omit<VersionOptions, 'model'>,
): Promise<void> {
  const { model, sources } = await importBytes(bytes, name, importOptionsOf(options));
  await worker.load({
    ...version,
    model: verdict === '1' ? withVerdict(model) : model,
    ...(sources !== undefined && { onnx: { bytes, sources } }),
  });
}

function idOf(text: string): number {
  const id = Number(text);
  if (id < 1 || id > 0xffff) throw new Refusal(400, `${text} is no number from 1 to 65535`);
  return id;
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw new Refusal(400, `${path.join('.') || 'the request'}: ${message}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, 'the body is no JSON');
  }
}

async function bodyOf(request: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > most) throw new Refusal(413, `the body has more than ${most} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const heldDocument = (worker: Worker, instance: string): HeldDocument => ({
  format: CONTROL_FORMAT,
  version: 1,
  instance,
  models: worker.held().map(({ modelId, current, versions }) => ({
    modelId,
    current: current ?? null,
    versions: versions.map((v) => ({ ...v, engines: v.engines.map((engine) => engine ?? null) })),
  })),
});

function reply(response: ServerResponse, status: number, document: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(document));
}

function replyFault(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const [first] = error instanceof DiagnosticError ? error.diagnostics : [];
  if (first !== undefined) {
    const { message, remedy } = first;
    reply(response, 422, { error: message, ...(remedy !== undefined && { remedy }) });
  } else if (error instanceof Refusal) reply(response, error.status, { error: error.message });
  else reply(response, 500, { error: error instanceof Error ? error.message : String(error) });
}
