import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import { DiagnosticError } from '../../diagnostics/index.ts';
import { type HttpDoor, openHttpDoor, peerOfRequest } from '../../doors/http.ts';
import type { DoorListen } from '../../doors/rules.ts';
import {
  CONTROL_FORMAT,
  currentSchema,
  ELECTION_HEADER,
  type HandedJob,
  type HeldDocument,
  handedJobSchema,
  MOST_JOB_BYTES,
  MOST_MODEL_BYTES,
  releaseSchema,
  versionQuerySchema,
} from '../../doors/worker-protocol.ts';
import { importOptionsOf } from '../../import/given-options.ts';
import { importBytes } from '../../import/index.ts';
import { withVerdict } from '../../model/verdict.ts';
import { decodePacket, encodePacket, packetKinds } from '../../wire/index.ts';
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

/** Of several controllers the one with the highest election id drives the worker; another may wake up late and not know it. */
class Fence {
  #ofAll = 0n;
  readonly #ofModels = new Map<number, bigint>();

  /** Lower ones are refused from here on. */
  bid(electionId: bigint): void {
    if (electionId > this.#ofAll) this.#ofAll = electionId;
  }

  /** Of what concerns no model alone. @throws Refusal where a higher one was heard of */
  passAll(electionId: bigint): void {
    if (electionId < this.#ofAll) refuseLower(this.#ofAll, electionId);
  }

  /** @throws Refusal where a higher one was heard of */
  pass(modelId: number, electionId: bigint): void {
    const ofModel = this.#ofModels.get(modelId) ?? 0n;
    const highest = ofModel > this.#ofAll ? ofModel : this.#ofAll;
    if (electionId < highest) refuseLower(highest, electionId);
    this.#ofModels.set(modelId, electionId);
  }
}

function refuseLower(highest: bigint, electionId: bigint): never {
  throw new Refusal(
    409,
    `a controller with election id ${highest} drives it, and this change comes by ${electionId}`,
  );
}

/** @throws Refusal */
function electionIdOf({ headers }: IncomingMessage): bigint {
  const given = headers[ELECTION_HEADER] ?? '0';
  if (typeof given === 'string' && /^\d{1,39}$/.test(given) && BigInt(given) < 2n ** 128n)
    return BigInt(given);
  throw new Refusal(400, `${ELECTION_HEADER}: expected a whole number below 2^128`);
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
  const fence = new Fence();
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    try {
      admit(request, listen);
      const answered = await actOnJob(worker, request, fence);
      if (answered === undefined) await act(worker, request, on, fence);
      reply(response, 200, answered ?? heldDocument(worker, instance));
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

const JOB = /^\/v1\/jobs\/(\d{1,20})(\/release)?$/;

/** The calls about jobs; undefined where it is another one. */
async function actOnJob(worker: Worker, request: IncomingMessage, fence: Fence): Promise<object | undefined> {
  const { pathname } = new URL(request.url ?? '/', 'http://worker');
  const [, id, release] = JOB.exec(pathname) ?? [];
  if (id === undefined) return undefined;
  const jobId = BigInt(id);
  if (jobId >= 2n ** 64n) throw new Refusal(400, `${id} is no number of 64 bits`);
  if (request.method === 'POST' && release !== undefined) {
    const text = (await bodyOf(request, MOST_DOCUMENT_BYTES)).toString('utf8');
    const to = placeOf(parsed(releaseSchema, jsonOf(text)).to);
    fence.passAll(electionIdOf(request));
    return handedDocument(jobId, worker.release(jobId, to));
  }
  // What was released is in nobody else's hands, so whoever has it may give it here, whoever leads by now.
  if (request.method !== 'PUT' || release !== undefined) return undefined;
  const text = (await bodyOf(request, MOST_JOB_BYTES)).toString('utf8');
  const given = parsed(handedJobSchema, jsonOf(text));
  if (given.jobId !== id) throw new Refusal(400, `the document is of job ${given.jobId}, not of ${id}`);
  const rows = given.rows.map((row, i) => {
    const packet = decodePacket(Buffer.from(row.header, 'base64'));
    if (packet === undefined || packet.header.kind !== packetKinds.request || packet.header.jobId !== jobId)
      throw new Refusal(400, `rows.${i}: the header is of no request of this job`);
    const tensor = Buffer.from(row.tensor, 'base64');
    const header = { ...packet.header, fragmentIndex: 0, fragmentCount: 1, elementCount: tensor.length };
    return { header, tensor };
  });
  const from = given.from === undefined ? undefined : placeOf(given.from);
  const accepted = worker.accept(jobId, rows, from);
  return { accepted, refused: rows.length - accepted };
}

/** Of `A.B.C.D:PORT`. */
function placeOf(text: string): { readonly address: string; readonly port: number } {
  const [address, port] = text.split(':');
  return { address: address!, port: Number(port) };
}

function handedDocument(jobId: bigint, { versions, rows }: ReturnType<Worker['release']>): HandedJob {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  return {
    format: 'intransit-job',
    version: 1,
    jobId: `${jobId}`,
    versions: [...versions].map(([modelId, version]) => ({ modelId, version })),
    rows: rows.map(({ header, tensor }) => ({
      header: base64(encodePacket({ header: { ...header, elementCount: 0 }, activations: new Uint8Array() })),
      tensor: base64(tensor),
    })),
  };
}

async function act(
  worker: Worker,
  request: IncomingMessage,
  on: VersionOptions['on'],
  fence: Fence,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://worker');
  const { method } = request;
  const electionId = electionIdOf(request);
  if (method === 'GET' && pathname === '/v1/models') return fence.bid(electionId);
  const [, id, version] = VERSION.exec(pathname) ?? [];
  if (method === 'PUT' && id !== undefined) {
    const query = parsed(versionQuerySchema, Object.fromEntries(searchParams));
    const bytes = await bodyOf(request, MOST_MODEL_BYTES);
    fence.pass(idOf(id), electionId);
    return load(worker, bytes, query, {
      modelId: idOf(id),
      modelVersion: idOf(version!),
      ...(on !== undefined && { on }),
    });
  }
  if (method === 'DELETE' && id !== undefined) {
    fence.pass(idOf(id), electionId);
    await worker.unload(idOf(id), idOf(version!));
    return;
  }
  const [, of] = CURRENT.exec(pathname) ?? [];
  if (method !== 'PUT' || of === undefined) throw new Refusal(404, `there is no ${method} ${pathname}`);
  const text = (await bodyOf(request, MOST_DOCUMENT_BYTES)).toString('utf8');
  const wanted = parsed(currentSchema, jsonOf(text)).version;
  fence.pass(idOf(of), electionId);
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
  load: worker.workload(),
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
